# SPDX-License-Identifier: GPL-3.0-or-later
"""What the help pages, README.md and the metainfo say fits the sources, and nothing that they refer to is missing."""
import html.parser
import pathlib
import re
import unittest
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
HELP = ROOT / 'plugin' / 'help'
README = (ROOT / 'README.md').read_text()
LANGUAGES = sorted(path.parent for path in HELP.glob('*/gimp-help.xml'))
SOURCES = {path.name: path.read_text() for path in (ROOT / 'plugin').glob('*.c')}
VOID = 'meta', 'link', 'img', 'br'


class Page(html.parser.HTMLParser):
    """References, anchors, the terms of controls; and whether its tags are balanced."""

    def __init__(self, path):
        super().__init__()
        self.references, self.anchors, self.terms = [], set(), {}
        self.open, self.wrong, self.argument = [], [], None
        self.feed(path.read_text())
        self.wrong += self.open

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.references += [attributes[name] for name in ('src', 'href') if name in attributes]
        self.anchors.add(attributes.get('id'))
        self.argument = attributes.get('data-argument')
        if self.argument:
            self.terms[self.argument] = ''
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        self.argument = None
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        if self.argument:
            self.terms[self.argument] += data


PAGES = {path: Page(path) for path in HELP.glob('*/*.html')}


def pictures_of_readme():
    return re.findall(r'!\[[^\]]*\]\(([^)]+)\)', README)


class HelpTest(unittest.TestCase):
    def test_every_procedure_has_a_page_in_every_language(self):
        domain = re.search(r'#define HELP_DOMAIN "([^"]+)"', SOURCES['grainwise.c'])[1]
        headers = ''.join(path.read_text() for path in (ROOT / 'plugin').glob('*.h'))
        procedures = set(re.findall(r'"(plug-in-grainwise-[a-z-]+)"', ''.join(SOURCES.values()) + headers))
        self.assertEqual(len(procedures), 4)
        self.assertIn(HELP / 'en', LANGUAGES)
        for folder in LANGUAGES:
            with self.subTest(folder.name):
                items = xml.etree.ElementTree.parse(folder / 'gimp-help.xml').getroot()
                pages = {item.get('{%s}id' % domain): item.get('ref') for item in items}
                self.assertEqual(set(pages), procedures | {None})  # None: that for anything else
                for page in pages.values():
                    self.assertIn(folder / page, PAGES)

    def test_languages_have_the_same_pages(self):
        names = [{path.name for path in PAGES if path.parent == folder} for folder in LANGUAGES]
        for each in names:
            self.assertEqual(each, names[0])

    def test_pages_are_sound(self):
        for path, page in PAGES.items():
            with self.subTest(str(path.relative_to(HELP))):
                self.assertEqual(page.wrong, [])
                for reference in page.references:
                    name, _, anchor = reference.partition('#')
                    target = (path.parent / name).resolve() if name else path
                    self.assertTrue(target.is_file(), reference)
                    if anchor:
                        self.assertIn(anchor, PAGES[target].anchors)

    def test_every_control_is_explained(self):
        """By the words of the sources; in other languages, in the same order."""
        arguments = re.findall(r'_(?:double|int|boolean|choice|string)_argument \(\s*procedure, "([a-z-]+)", _ \("([^"]+)"\)',
                               SOURCES['procedure.c'] + SOURCES['grainwise.c'])
        self.assertGreaterEqual(len(arguments), 4)
        english = PAGES[HELP / 'en' / 'denoise.html'].terms
        for name, label in arguments:
            self.assertEqual(english.get(name), label.replace('_', ''))
        for folder in LANGUAGES:
            self.assertEqual(list(PAGES[folder / 'denoise.html'].terms), list(english))


class PicturesTest(unittest.TestCase):
    def test_all_are_used_and_small(self):
        used = {(path.parent / each).resolve() for path, page in PAGES.items() for each in page.references}
        used |= {ROOT / each for each in pictures_of_readme()}
        pictures = list((HELP / 'images').iterdir())
        for picture in pictures:
            with self.subTest(picture.name):
                self.assertIn(picture, used)
                self.assertLess(picture.stat().st_size, 150_000)
        self.assertLess(sum(picture.stat().st_size for picture in pictures), 800_000)

    def test_links_of_readme(self):
        links = re.findall(r'\]\(([^)#]+)', README)
        self.assertTrue(pictures_of_readme())
        for link in links:
            if '://' not in link:
                self.assertTrue((ROOT / link).exists(), link)


def defaults_of_arguments():
    """Of the procedure that denoises, as the sources have them."""
    headers = ''.join(path.read_text() for folder in ('core', 'ui', 'plugin') for path in (ROOT / folder).glob('*.h'))
    constants = dict(re.findall(r'^#define (\w+) (.+)$', headers, re.MULTILINE))
    found = re.findall(r'_(?:double|int|boolean|choice|string)_argument \(\s*procedure, "([a-z-]+)".*?,\s*([^,]+?),\s*G_PARAM_READWRITE',
                       SOURCES['procedure.c'] + SOURCES['grainwise.c'], re.DOTALL)
    return {name: constants.get(value, value) for name, value in found}


class ReadmeTest(unittest.TestCase):
    def test_arguments_have_their_defaults(self):
        written = {}
        for names, values in re.findall(r'^\| (`#:.*?) \|.*\| (.*?) \|$', README, re.MULTILINE):
            names, values = re.findall(r'#:([a-z-]+)', names), values.replace('`', '').split(', ')
            self.assertIn(len(values), (1, len(names)))
            written |= dict(zip(names, values * len(names)))
        self.assertEqual(written, defaults_of_arguments())


class MetainfoTest(unittest.TestCase):
    def test_it_extends_gimp_and_knows_the_version(self):
        path, = (ROOT / 'plugin').glob('*.metainfo.xml')
        component = xml.etree.ElementTree.parse(path).getroot()
        version = re.search(r"version: '([^']+)'", (ROOT / 'meson.build').read_text())[1]
        self.assertEqual(component.get('type'), 'addon')
        self.assertEqual(component.findtext('extends'), 'org.gimp.GIMP')
        self.assertEqual(path.name, component.findtext('id') + '.metainfo.xml')
        self.assertEqual(component.find('releases/release').get('version'), version)


if __name__ == '__main__':
    unittest.main()
