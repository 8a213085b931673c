/* Tries the same without being linked with the driver: unlinked WAY LIBRARY. It is compiled as an ordinary program, as one without a
 * dynamic linker (-static), and as a library that the linker loads to watch it (LD_AUDIT), where WAY and LIBRARY are in its environment.
 */
#define _GNU_SOURCE
#include <cuda.h>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE ((size_t)20 << 20)

static void *library;

static void *by_name(const char *name) { return dlsym(library, name); }

/* As the linker does it: in the library's own table. */
static void *by_table(const char *name) {
    struct link_map *map = library;
    const char *strings = NULL;
    const Elf64_Sym *symbols = NULL;
    for (const Elf64_Dyn *it = map->l_ld; it->d_tag != DT_NULL; it++) {
        if (it->d_tag == DT_STRTAB)
            strings = (const char *)it->d_un.d_ptr;
        if (it->d_tag == DT_SYMTAB)
            symbols = (const Elf64_Sym *)it->d_un.d_ptr;
    }
    /* The names lie behind the symbols. */
    for (const Elf64_Sym *it = symbols; (const char *)it < strings; it++)
        if (!strcmp(strings + it->st_name, name))
            return (void *)(map->l_addr + it->st_value);
    return NULL;
}

static void need(int failed, const char *what, int why) {
    if (failed) {
        printf("%s %d\n", what, why);
        fflush(stdout);
        exit(1);
    }
}

static void run(void *(*find)(const char *)) {
    CUresult (*init)(unsigned) = find("cuInit");
    CUresult (*retain)(CUcontext *, CUdevice) = find("cuDevicePrimaryCtxRetain");
    CUresult (*current)(CUcontext) = find("cuCtxSetCurrent");
    CUresult (*allocate)(CUdeviceptr *, size_t) = find("cuMemAlloc_v2");
    CUcontext context;
    CUdeviceptr at;
    CUresult result = CUDA_SUCCESS;
    int pieces = 0;
    need(!init || !retain || !current || !allocate, "not found", 0);
    result = init(0);
    need(result, "cuInit", result);
    result = retain(&context, 0);
    need(result, "cuDevicePrimaryCtxRetain", result);
    result = current(context);
    need(result, "cuCtxSetCurrent", result);
    while (pieces < 20 && (result = allocate(&at, PIECE)) == CUDA_SUCCESS)
        pieces++;
    printf("%d %d\n", pieces * 20, result);
    fflush(stdout);
}

/* Whether a library is in this program. */
static int has(const char *name) {
    char line[4096];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps))
        if (strstr(line, name))
            return printf("there\n");
    return printf("not there\n");
}

static int way(const char *way, const char *path) {
    if (!strcmp(way, "has"))
        return has(path) < 0;
    library = dlopen(path, RTLD_NOW | (strcmp(way, "deep") ? 0 : RTLD_DEEPBIND));
    if (!library) {
        printf("not opened: %s\n", dlerror());
        return 1;
    }
    run(strcmp(way, "table") ? by_name : by_table);
    return 0;
}

#ifdef AUDIT
unsigned la_version(unsigned version) {
    static int once;
    if (!once++)
        way("name", getenv("AUDITED"));
    return version;
}
#else
int main(int argc, char **argv) { return argc < 3 || way(argv[1], argv[2]); }
#endif
