# cmake configures a project that looks for threads, builds it and runs its test.
mkdir -p "$1" && cd "$1" || exit
cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.10)
project(x C)
find_package(Threads REQUIRED)
add_library(l STATIC l.c)
add_executable(p p.c)
target_link_libraries(p l Threads::Threads)
enable_testing()
add_test(NAME t COMMAND p)
END
echo 'int l(void) { return 7; }' >l.c
printf '#include <stdio.h>\nint l(void);\nint main(void) { printf("%%d\\n", l()); return 0; }\n' >p.c
cmake -S . -B b && cmake --build b && ./b/p && cd b && ctest | sed 's/[0-9.]* sec//; s/=.*//'
