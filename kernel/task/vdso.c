/* vdso.c - the vdso and its data page as mappings: two objects whose frames are the kernel image's own.
 *
 * They are shown as a device's memory is: not counted, and copied when a debugger writes to them. The code is
 * arch/x86_64/vdso. */
#include "task/exec.h"
#include "vm/slab.h"

struct part {
    struct vm_file file;
    struct object object;
    u64 phys, bytes;
    u32 flags;
    const char *name;
};

static struct part data = {.flags = VIEW_READ, .name = "[vvar]"};
static struct part code = {.flags = VIEW_READ | VIEW_EXEC, .name = "[vdso]"};

/* They live as long as the kernel. */
static void get(struct vm_file *f) {}
static void put(struct vm_file *f) {}
static const struct vm_file_ops file_ops = {get, put};

static struct frame *frame_at(struct object *o, u64 index) {
    const struct part *p = container_of(o, struct part, object);

    return index < p->bytes >> PAGE_SHIFT ? frame_of_phys(p->phys + (index << PAGE_SHIFT)) : NULL;
}
static const struct object_ops object_ops = {.device = frame_at};

static void part_init(struct part *p) {
    object_init(&p->object, &object_ops, p->bytes);
    p->file = (struct vm_file){.ops = &file_ops, .object = &p->object};
}

void vdso_init(void) {
    arch_vdso(&data.phys, &data.bytes, &code.phys, &code.bytes);
    part_init(&data);
    part_init(&code);
}

static long map(struct space *s, struct part *p, struct map_request r, u32 max_prot) {
    r.bytes = p->bytes;
    r.flags = p->flags | VIEW_SPECIAL;
    r.max_prot = max_prot;
    r.file = &p->file;
    r.name = p->name;
    return space_map(s, &r);
}

/* vdso_map: the code where there is room for both, the data right below it. */
int vdso_map(struct exec *e) {
    long at = map(e->space, &code, (struct map_request){.room = data.bytes}, VIEW_PROT), below = 0;

    if (at >= 0)
        below = map(e->space, &data, (struct map_request){.address = (u64)at - data.bytes, .how = MAP_AT}, VIEW_READ);
    if (at < 0 || below < 0)
        return at < 0 ? (int)at : (int)below;
    e->vdso = (u64)at;
    return 0;
}
