/* usage.c - the help texts. The man page (quire.1) says the same at length. */
#include "options.h"

#include <stdio.h>

void usage_print(void) {
    fputs("Usage: quire run [OPTIONS] [--] PROGRAM [ARGUMENTS]\n"
          "       quire sim FILE [--memory A..B] [--policy NAME|all]\n"
          "       quire doctor\n"
          "       quire --help | --version\n"
          "\n"
          "Runs an unmodified Linux program on Quire, a small kernel built around virtual memory,\n"
          "in QEMU, with this machine's files, and hands back its output and exit status.\n"
          "\n"
          "  run       run a program; `quire run --help` lists the options\n"
          "  sim       replay a trace of page uses with each replacement policy and several memories\n"
          "  doctor    say what this machine can do, and what is missing\n"
          "\n"
          "Example: quire run -m 64M -- python3 -c 'print(6 * 7)'\n",
          stdout);
}

void usage_print_run(void) {
    fputs("Usage: quire run [OPTIONS] [--] PROGRAM [ARGUMENTS]\n"
          "\n"
          "Memory and machine\n"
          "  -m, --memory SIZE      exactly so much memory (default 512M); units K, M, G are binary\n"
          "  -s, --swap SIZE|FILE   swap to a temporary file of SIZE, to FILE, or to nbd://HOST/NAME;\n"
          "                         may be repeated\n"
          "  -c, --cpus N           processors (default: this machine's, at most 8)\n"
          "      --zswap N%         compress what is swapped, in at most N% of memory, before it goes to disk;\n"
          "                         without -s, or with -s 0, there is no disk: the rest stays in memory\n"
          "      --policy NAME      which pages go first when memory runs out\n"
          "      --sysctl NAME=VALUE  set /proc/sys/NAME first; may be repeated\n"
          "      --no-aslr          the same addresses in every run\n"
          "      --accel HOW        auto, kvm or tcg (default auto)\n"
          "      --qemu-arg ARG     one more argument for QEMU; may be repeated\n"
          "Files: the guest sees this machine's / read-only; what it writes stays in its memory\n"
          "      --rw DIR[:DST]     writes below DIR reach this machine; DST: where the guest sees it\n"
          "      --ro DIR[:DST]     show DIR at DST, read-only\n"
          "      --root DIR         DIR is the guest's /\n"
          "Program\n"
          "  -e, --env NAME=VALUE   set a variable; -e NAME takes it away; may be repeated\n"
          "      --cwd DIR          where it starts (default: here)\n"
          "      --user NAME[:GROUP]  whose ids it has, by name or number (default: yours)\n"
          "      --timeout TIME     end it after TIME (5, 2.5s, 3m, 1h) with status 124\n"
          "What is said on stderr\n"
          "      --stats            what memory did, at the end\n"
          "      --trace FILE       what reclaim sees, for `quire sim`\n"
          "  -v, --verbose          also the kernel's messages\n"
          "  -q, --quiet            no notices\n"
          "      --dry-run          print the QEMU command line instead of running it\n"
          "  -h, --help\n"
          "\n"
          "Exit status: the program's; 128+N when signal N ended it; 124 time-out; 125 a failure of\n"
          "quire's own; 126, 127 the program cannot be executed, is not there.\n",
          stdout);
}
