/*
 * Rings of 8-byte entries from one thread to another: DPDK's rte_ring, and in C the algorithm of
 * core/memory/ring.ts (cached indices, one store per batch on each side).
 */
#include "peer.h"
#include <rte_ring.h>

#define SIZE 1024u
#define MAX 64

static struct {
  ALIGNED _Atomic uint32_t tail;
  uint32_t head_seen;
  ALIGNED _Atomic uint32_t head;
  uint32_t tail_seen;
  ALIGNED uint64_t entries[SIZE];
} own;

static struct rte_ring *rte;

static unsigned own_push(void **src, unsigned n) {
  uint32_t tail = atomic_load_explicit(&own.tail, memory_order_relaxed);
  uint32_t room = SIZE - (tail - own.head_seen);
  if (room < n) {
    own.head_seen = atomic_load(&own.head);
    room = SIZE - (tail - own.head_seen);
    if (room < n) n = room;
  }
  for (unsigned i = 0; i < n; i++) own.entries[(tail + i) & (SIZE - 1)] = (uint64_t)(uintptr_t)src[i];
  if (n) atomic_store(&own.tail, tail + n);
  return n;
}

static unsigned own_pop(void **dst, unsigned n) {
  uint32_t head = atomic_load_explicit(&own.head, memory_order_relaxed);
  uint32_t ready = own.tail_seen - head;
  if (ready < n) {
    own.tail_seen = atomic_load(&own.tail);
    ready = own.tail_seen - head;
    if (ready < n) n = ready;
  }
  for (unsigned i = 0; i < n; i++) dst[i] = (void *)(uintptr_t)own.entries[(head + i) & (SIZE - 1)];
  if (n) atomic_store(&own.head, head + n);
  return n;
}

static unsigned sp(void **src, unsigned n) { return rte_ring_sp_enqueue_burst(rte, src, n, NULL); }
static unsigned mp(void **src, unsigned n) { return rte_ring_mp_enqueue_burst(rte, src, n, NULL); }
static unsigned sc(void **dst, unsigned n) { return rte_ring_sc_dequeue_burst(rte, dst, n, NULL); }

static unsigned (*push)(void **, unsigned), (*pop)(void **, unsigned);
static unsigned batch;
static _Atomic int begun, over;

static void *consume(void *arg) {
  void *got[MAX];
  long sum = 0;
  unsigned k;
  (void)arg;
  double waited = waited_ns();
  begun = 1;
  do {
    k = pop(got, batch);
    for (unsigned i = 0; i < k; i++) sum += (long)got[i];
  } while (k || !over);
  waited_sum += (long long)(waited_ns() - waited);
  return (void *)sum;
}

static double run(const struct job *job) {
  void *src[MAX];
  pthread_t t;
  long sent = 0;
  for (int i = 0; i < MAX; i++) src[i] = (void *)(uintptr_t)(i + 1);
  memset(&own, 0, sizeof own);
  rte_ring_init(rte, "bench", SIZE, 0);
  batch = job->batch;
  begun = over = 0;
  pthread_create(&t, NULL, consume, NULL);
  while (!begun) sched_yield();
  double start = now_ns();
  do {
    for (int i = 0; i < 64; i++) sent += push(src, batch);
  } while (now_ns() - start < job->ms * 1e6);
  over = 1;
  pthread_join(t, NULL);
  return sent / (now_ns() - start) * 1e3;
}

#define RUN(name, how_push, how_pop)                                  \
  static double name(const struct job *job) {                         \
    push = how_push;                                                  \
    pop = how_pop;                                                    \
    return run(job);                                                  \
  }
RUN(rte_spsc, sp, sc)
RUN(rte_mpsc, mp, sc)
RUN(c_spsc, own_push, own_pop)

int main(void) {
  rte = aligned_alloc(LINE_BYTES, rte_ring_get_memsize(2 * SIZE) + 4096);
  const struct peer peers[] = {
    { "rte_spsc", rte_spsc }, { "rte_mpsc", rte_mpsc }, { "c_spsc", c_spsc }, { NULL, NULL },
  };
  return serve(peers);
}
