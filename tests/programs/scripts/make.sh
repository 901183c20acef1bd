# make -j2 with gcc over two hundred files; then nothing is left to do.
mkdir -p "$1" && cd "$1" || exit
for i in $(seq 200); do printf '#include <stdio.h>\nint f%d(int x) { return x + %d; }\n' $i $i >f$i.c; done
{
    echo '#include <stdio.h>'; seq 200 | sed 's/.*/int f&(int);/'
    echo 'int main(void) { int x = 0;'; seq 200 | sed 's/.*/x = f&(x);/'; echo 'printf("%d\n", x); return 0; }'
} >main.c
printf 'O := $(patsubst %%.c,%%.o,$(wildcard *.c))\nprogram: $O\n\t@gcc -o $@ $^\n%%.o: %%.c\n\t@gcc -O2 -c -o $@ $<\n' >Makefile
make -j2 && ./program && make -q && echo up to date; ls | wc -l
