; SPDX-License-Identifier: GPL-3.0-or-later
;
; Denoise one photo without opening a window; also a starting point for batch work.
; denoise-photo.sh calls it; by hand, for the automatic noise level:
;
;   gimp-console -i -d -f -s --batch-interpreter plug-in-script-fu-eval \
;     -b '(load "denoise-photo.scm") (denoise-photo "in.jpg" 0 "out")' --quit
;
; It writes out-grainwise.xcf (the photo, the denoised and the uncertainty layer),
; out-denoised.png and out-uncertainty.png. Any error ends GIMP with exit code 70.

(script-fu-use-v3)

; The image as PNG, with nothing but this layer.
(define (save-layer image layer file)
  (for-each (lambda (other) (gimp-item-set-visible other FALSE))
            (vector->list (gimp-image-get-layers image)))
  (gimp-item-set-visible layer TRUE)
  (gimp-file-save RUN-NONINTERACTIVE image file))

; noise-level: standard deviation of the noise in 8-bit levels, 0 to 100;
; 0 estimates it from the photo.
(define (denoise-photo photo noise-level out)
  (let ((image (gimp-file-load RUN-NONINTERACTIVE photo)))
    (if (= (gimp-image-get-base-type image) INDEXED)
        (gimp-image-convert-rgb image))
    (let* ((layer  (vector-ref (gimp-image-get-layers image) 0))
           (result (plug-in-grainwise-denoise
                     #:run-mode    RUN-NONINTERACTIVE
                     #:image       image
                     #:drawables   (vector layer)
                     #:noise-level noise-level
                     #:output      "new-layer"
                     #:uncertainty "standard-deviation"
                     #:model       "best"))
           (denoised    (car result))
           (uncertainty (cadr result)))
      (gimp-file-save RUN-NONINTERACTIVE image (string-append out "-grainwise.xcf"))
      (save-layer image denoised    (string-append out "-denoised.png"))
      (save-layer image uncertainty (string-append out "-uncertainty.png"))
      (gimp-image-delete image))))
