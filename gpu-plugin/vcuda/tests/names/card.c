// Asks NVML for a card's memory in every form, and tries to change the card.
#include <dlfcn.h>
#include <stdio.h>

struct memory { unsigned long long total, free, used; };
struct memory_v2 { unsigned version; unsigned long long total, reserved, free, used; };

int main(void) {
    void *nvml = dlopen("libnvidia-ml.so.1", RTLD_NOW);
    int (*info)(void *, struct memory *) = dlsym(nvml, "nvmlDeviceGetMemoryInfo");
    int (*info_v2)(void *, struct memory_v2 *) = dlsym(nvml, "nvmlDeviceGetMemoryInfo_v2");
    int (*mode)(void *, int) = dlsym(nvml, "nvmlDeviceSetComputeMode");
    int (*count)(unsigned *) = dlsym(nvml, "nvmlDeviceGetCount_v2");
    struct memory memory;
    struct memory_v2 memory_v2 = {.version = 2};
    unsigned cards = 0;
    int result = info(NULL, &memory);
    printf("memory: %d %llu %llu %llu\n", result, memory.total >> 20, memory.free >> 20, memory.used >> 20);
    result = info_v2(NULL, &memory_v2);
    printf("memory_v2: %d %llu %llu %llu %llu\n", result, memory_v2.total >> 20, memory_v2.reserved >> 20, memory_v2.free >> 20, memory_v2.used >> 20);
    printf("mode: %d\n", mode(NULL, 0));
    result = count(&cards);
    printf("count: %d %u\n", result, cards);
    return 0;
}
