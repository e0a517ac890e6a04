#include "driver.h"
#include <stdlib.h>

static uint32_t *list;
static size_t room;
size_t samples;

void sample(int64_t value) {
  if (samples == room) list = realloc(list, (room = room ? room * 2 : 1 << 16) * sizeof *list);
  list[samples++] = value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static int ascending(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

void sortSamples(void) { qsort(list, samples, sizeof *list, ascending); }

uint32_t sampled(size_t index) { return list[index]; }

double quantile(double q) { return samples ? list[(size_t)(q * (samples - 1) + 0.5)] / 1000.0 : 0; }
