/* vdso_image.S - the vdso as a whole page, to be mapped into programs. The Makefile says where it was linked. */
    .section .rodata, "a", @progbits
    .balign 4096
    .globl vdso_image, vdso_image_end
vdso_image:
    .incbin VDSO_FILE
    .balign 4096
vdso_image_end:

    .section .note.GNU-stack, "", @progbits
