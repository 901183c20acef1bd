# symbols.awk - `nm -n IMAGE | awk -f symbols.awk`: the assembly of symbols.c's tables: each function's offset and name.
BEGIN { print "    .section .symbols, \"a\"\n    .balign 4\n    .globl symbol_count, symbol_offsets, symbol_names\nsymbol_offsets:" }
$2 ~ /^[tT]$/ && $3 != "_text" && $3 != "_text_end" && $3 !~ /^\./ && $1 != last {
    names = names "    .asciz \"" $3 "\"\n"
    print "    .long 0x" substr($1, 9) " - 0x80100000" # _text, as quire.ld places it; awk has no 64-bit numbers
    last = $1
    count++
}
END { print "symbol_count:\n    .long " count "\nsymbol_names:\n" names "    .section .note.GNU-stack, \"\", @progbits" }
