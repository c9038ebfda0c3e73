#include "analysis/assets.h"

/* The bytes of a file and a 0, by the assembler: a string in C may not be as long. */
#define NL_ASSET(name, path)                                                                   \
    __asm__(".section .rodata\n.global " name "\n.hidden " name "\n" name ":\n.incbin \"" path \
            "\"\n.byte 0\n.text\n");

NL_ASSET("nl_page_css", NL_PAGE "/page.css")
NL_ASSET("nl_page_js", NL_PAGE "/page.js")
NL_ASSET("nl_page_libraries", NL_PAGE_LIBRARIES)
