/* elf.c - ELF programs: reads the headers, maps the segments of the program and of its interpreter into the new space.
 *
 *      ET_EXEC               where it says
 *      ET_DYN, interpreter   DYN_BASE + a random offset
 *      ET_DYN alone, ld.so   a gap that mmap would choose
 *
 * Runs 64-bit x86 programs only: 32-bit ones get ENOEXEC. */
#include <linux/elf.h>

#include "arch/x86_64/usercopy.h"
#include "task/exec.h"

#define HEADERS_MOST 65536 /* bytes of program headers, as Linux */
#define BRK_RANDOM_PAGES (32 * MiB / PAGE_SIZE)

_Static_assert(HEAD_BYTES >= sizeof(Elf64_Ehdr), "find_program has read it");

struct image {
    struct file *file;
    Elf64_Ehdr header;
    Elf64_Phdr *phdrs;
    u64 low, high, align; /* of the PT_LOADs, as the file numbers them */
    u64 bias;
};

/* ---- reading ---- */

static int check_header(const Elf64_Ehdr *h) {
    if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 || h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_machine != EM_X86_64)
        return -ENOEXEC;
    if ((h->e_type != ET_EXEC && h->e_type != ET_DYN) || h->e_phentsize != sizeof(Elf64_Phdr) || !h->e_phnum)
        return -ENOEXEC;
    return h->e_phnum * sizeof(Elf64_Phdr) > HEADERS_MOST ? -ENOEXEC : 0;
}

/* span: what the loadable segments cover. None, one that wraps or leaves the user's half: -EINVAL, as mmap would say.
 */
static int span(struct image *m) {
    m->low = ~0UL;
    m->high = 0;
    m->align = PAGE_SIZE;
    for (unsigned i = 0; i < m->header.e_phnum; i++) {
        const Elf64_Phdr *p = &m->phdrs[i];

        if (p->p_type != PT_LOAD)
            continue;
        if (p->p_filesz > p->p_memsz || p->p_memsz > USER_TOP || p->p_vaddr > USER_TOP - p->p_memsz ||
            (p->p_offset ^ p->p_vaddr) & ~PAGE_MASK)
            return -EINVAL;
        m->low = min(m->low, (u64)(p->p_vaddr & PAGE_MASK));
        m->high = max(m->high, (u64)(p->p_vaddr + p->p_memsz));
        if (p->p_align > m->align && !(p->p_align & (p->p_align - 1)) && p->p_align <= GiB)
            m->align = p->p_align;
    }
    return m->high > m->low ? 0 : -EINVAL;
}

/* head: the file's first bytes, if they were read already; zeroes behind a short file's. */
static int image_read(struct image *m, struct file *f, const char head[HEAD_BYTES]) {
    size_t bytes;
    int error;

    m->file = f;
    m->phdrs = NULL;
    if (head)
        memcpy(&m->header, head, sizeof(m->header));
    else if (file_read_kernel(f, &m->header, sizeof(m->header), 0) != sizeof(m->header))
        return -ENOEXEC;
    error = check_header(&m->header);
    if (error)
        return error;
    bytes = m->header.e_phnum * sizeof(Elf64_Phdr);
    m->phdrs = kmalloc(bytes);
    if (!m->phdrs)
        return -ENOMEM;
    if (file_read_kernel(f, m->phdrs, bytes, m->header.e_phoff) != (ssize_t)bytes)
        return -ENOEXEC;
    return span(m);
}

/* ---- mapping ---- */

static u32 protection(const Elf64_Phdr *p) {
    return (p->p_flags & PF_R ? VIEW_READ : 0) | (p->p_flags & PF_W ? VIEW_WRITE : 0) |
           (p->p_flags & PF_X ? VIEW_EXEC : 0);
}

/* zero: less than a page. */
static int zero(struct space *s, u64 from, u64 to) {
    return space_copy(s, from, frame_va(zero_frame), to - from, true, false) == (ssize_t)(to - from) ? 0 : -ENOMEM;
}

/* map_segment: the part from the file, zeroes behind it on its last page (if it may be written at all), whole pages of
 * zeroes after that. */
static int map_segment(struct space *s, const struct image *m, const Elf64_Phdr *p) {
    u64 start = m->bias + p->p_vaddr, file_end = start + p->p_filesz, end = start + p->p_memsz;
    struct map_request r = {.address = start & PAGE_MASK, .flags = protection(p), .how = MAP_AT};
    u64 zero_start = p->p_filesz ? page_align_up(file_end) : r.address;
    long result = 0;

    if (p->p_filesz) {
        r.bytes = zero_start - r.address;
        r.file = &m->file->vm;
        r.offset = p->p_offset & PAGE_MASK;
        result = space_map(s, &r);
        if (result >= 0 && end > file_end && zero_start > file_end && p->p_flags & PF_W)
            result = zero(s, file_end, zero_start);
    }
    if (result >= 0 && page_align_up(end) > zero_start) {
        r.address = zero_start;
        r.bytes = page_align_up(end) - zero_start;
        r.file = NULL;
        r.offset = 0;
        result = space_map(s, &r);
    }
    return result < 0 ? (int)result : 0;
}

static int map_segments(struct space *s, const struct image *m) {
    int error = 0;

    for (unsigned i = 0; i < m->header.e_phnum && !error; i++) {
        if (m->phdrs[i].p_type == PT_LOAD && m->phdrs[i].p_memsz)
            error = map_segment(s, m, &m->phdrs[i]);
    }
    return error;
}

/* bias_by_gap: nobody else uses the new space, so a gap once found may be let go before it is filled. */
static int bias_by_gap(struct space *s, struct image *m) {
    struct map_request r = {.bytes = page_align_up(m->high) - m->low + m->align - PAGE_SIZE, .flags = VIEW_NORESERVE};
    long address = space_map(s, &r);

    if (address < 0)
        return address;
    m->bias = align_up((u64)address, m->align) - m->low;
    return space_unmap(s, address, r.bytes);
}

static int choose_bias(struct exec *e, struct image *m, bool interpreted) {
    m->bias = 0;
    if (m->header.e_type == ET_EXEC)
        return 0;
    if (!interpreted)
        return bias_by_gap(e->space, m);
    m->bias = align_down(DYN_BASE + exec_random(e, 1UL << 28), m->align) - m->low;
    return 0;
}

/* ---- what the program and the auxiliary vector are told ---- */

static void describe(struct exec *e, const struct image *m, bool interpreted) {
    struct space_info *info = space_info(e->space);
    u64 brk;

    info->code_start = ~0UL;
    for (unsigned i = 0; i < m->header.e_phnum; i++) {
        const Elf64_Phdr *p = &m->phdrs[i];
        u64 start = p->p_vaddr + m->bias, file_end = start + p->p_filesz;

        if (p->p_type == PT_GNU_STACK)
            e->executable_stack = p->p_flags & PF_X;
        if (p->p_type != PT_LOAD)
            continue;
        if (p->p_offset <= m->header.e_phoff && m->header.e_phoff < p->p_offset + p->p_filesz)
            e->phdr = m->header.e_phoff - p->p_offset + start;
        if (p->p_flags & PF_X) {
            info->code_start = min(info->code_start, start);
            info->code_end = max(info->code_end, file_end);
        }
        info->data_start = max(info->data_start, start);
        info->data_end = max(info->data_end, file_end);
    }
    e->phdr_count = m->header.e_phnum;
    e->program_entry = e->entry = m->header.e_entry + m->bias;
    brk = page_align_up(m->high + m->bias);
    if (m->header.e_type == ET_DYN && !interpreted && e->randomise)
        brk = DYN_BASE; /* away from the gap it was mapped in, where mappings would soon stop its growth */
    info->brk_start = brk + exec_random(e, BRK_RANDOM_PAGES);
    space_set_brk(e->space, info->brk_start);
}

/* ---- the interpreter ---- */

/* interpreter_name: kmalloc'd; NULL: there is none; err_ptr. */
static char *interpreter_name(const struct image *m) {
    const Elf64_Phdr *p = m->phdrs, *end = p + m->header.e_phnum;
    char *name;

    while (p < end && p->p_type != PT_INTERP)
        p++;
    if (p == end)
        return NULL;
    if (p->p_filesz < 2 || p->p_filesz > PAGE_SIZE)
        return err_ptr(-ENOEXEC);
    name = kmalloc(p->p_filesz);
    if (!name)
        return err_ptr(-ENOMEM);
    if (file_read_kernel(m->file, name, p->p_filesz, p->p_offset) == (ssize_t)p->p_filesz && !name[p->p_filesz - 1])
        return name;
    kfree(name);
    return err_ptr(-ENOEXEC);
}

static int load_interpreter(struct exec *e, const char *name) {
    struct file *f = exec_open(AT_FDCWD, name, 0);
    struct image m;
    int error;

    if (is_err(f))
        return ptr_err(f);
    e->unreadable |= inode_permission(f->inode, MAY_READ) != 0;
    error = image_read(&m, f, NULL);
    if (error == -ENOEXEC || error == -EINVAL)
        error = -ELIBBAD;
    if (!error)
        error = choose_bias(e, &m, false);
    if (!error)
        error = map_segments(e->space, &m);
    if (!error) {
        e->entry = m.header.e_entry + m.bias;
        e->interpreter_base = m.bias + m.low;
    }
    kfree(m.phdrs);
    exec_close(f);
    return error;
}

int elf_load(struct exec *e) {
    char *name = NULL;
    struct image m;
    int error = image_read(&m, e->file, e->head);

    if (!error) {
        name = interpreter_name(&m);
        error = is_err(name) ? (int)ptr_err(name) : 0;
    }
    if (!error)
        error = choose_bias(e, &m, name);
    if (!error)
        error = map_segments(e->space, &m);
    if (!error)
        describe(e, &m, name);
    if (!error && name)
        error = load_interpreter(e, name);
    if (!is_err(name))
        kfree(name);
    kfree(m.phdrs);
    return error;
}
