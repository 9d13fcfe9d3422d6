/*
 * The transmit path of softc in bare C: a per-CPU cache over a depot of magazines, owner words, an epoch
 * record, gencnt, counters per interface, a driver behind a pointer that frees what it gets. Run to completion,
 * or through a ring to a thread that owns the driver.
 */
#include "peer.h"

#define MBUFS 4096
#define CLUSTER 2048
#define HEADROOM 64
#define MAGAZINE 64
#define MAGAZINES (MBUFS / MAGAZINE + 32)
#define CACHE 512
#define RING 1024
#define MAX 64
#define MINE(cpu) (1 << 24 | (cpu))
#define IN_RING (2 << 24 | 3)

struct header { int32_t owner, len, off, next, rcv_index, rcv_gen, flags, flow; };
static struct header header[MBUFS];
static ALIGNED uint8_t data[MBUFS][CLUSTER];

static struct { ALIGNED _Atomic int32_t full; ALIGNED _Atomic int32_t empty; } depot;
static ALIGNED struct { int32_t id[MAGAZINE]; _Atomic int32_t next; int32_t pad[7]; } magazine[MAGAZINES];

static ALIGNED struct { int32_t id[CACHE]; int n; } cache[2];
static struct { ALIGNED _Atomic int32_t seq; } record[2];
static struct { _Atomic int32_t gencnt; int32_t flags, queues; } ALIGNED slot[64];
static ALIGNED double counters[2][64], ifc[2][64][8];

static struct {
  ALIGNED _Atomic uint32_t tail;
  uint32_t head_seen;
  ALIGNED _Atomic uint32_t head;
  uint32_t tail_seen;
  ALIGNED struct { int32_t id, stamp; } entry[RING];
} ring;

static int take(_Atomic int32_t *stack) {
  for (;;) {
    int32_t head = atomic_load(stack), m = (head & 0xfff) - 1;
    if (m < 0) return -1;
    int32_t next = ((head & ~0xfff) + 0x1000) | (atomic_load(&magazine[m].next) & 0xfff);
    if (atomic_compare_exchange_strong(stack, &head, next)) return m;
  }
}

static void give(_Atomic int32_t *stack, int m) {
  for (;;) {
    int32_t head = atomic_load(stack);
    atomic_store(&magazine[m].next, head & 0xfff);
    if (atomic_compare_exchange_strong(stack, &head, ((head & ~0xfff) + 0x1000) | (m + 1))) return;
  }
}

static int alloc(int cpu, int32_t *ids, int n, int len) {
  while (cache[cpu].n < n) {
    int m = take(&depot.full);
    if (m < 0) break;
    memcpy(cache[cpu].id + cache[cpu].n, magazine[m].id, sizeof magazine[m].id);
    cache[cpu].n += MAGAZINE;
    give(&depot.empty, m);
  }
  if (n > cache[cpu].n) n = cache[cpu].n;
  for (int i = 0; i < n; i++) {
    int32_t id = ids[i] = cache[cpu].id[--cache[cpu].n];
    struct header *h = &header[id];
    h->owner = MINE(cpu);
    h->len = len;
    h->off = HEADROOM;
    h->next = -1;
    h->rcv_gen = h->flags = 0;
  }
  counters[cpu][0] += n;
  return n;
}

static void end_life(int cpu, int32_t *ids, int n) {
  for (int i = 0; i < n; i++) {
    struct header *h = &header[ids[i]];
    if (h->owner != MINE(cpu)) abort();
    h->owner = 0;
    if (h->next >= 0) abort();
    cache[cpu].id[cache[cpu].n++] = ids[i];
  }
  while (cache[cpu].n > CACHE - 3 * MAGAZINE) {
    int m = take(&depot.empty);
    if (m < 0) abort();
    cache[cpu].n -= MAGAZINE;
    memcpy(magazine[m].id, cache[cpu].id + cache[cpu].n, sizeof magazine[m].id);
    give(&depot.full, m);
  }
  counters[cpu][1] += n;
}

static void section(int cpu) {
  int32_t seq = atomic_load_explicit(&record[cpu].seq, memory_order_relaxed);
  atomic_store(&record[cpu].seq, seq + 1);
}

static long seen[2];
__attribute__((noinline)) static int null_transmit(int cpu, int32_t *ids, int n) {
  seen[cpu] += n;
  end_life(cpu, ids, n);
  return n;
}
static int (*volatile driver)(int, int32_t *, int) = null_transmit;

static int transmit(int cpu, int32_t *ids, int n) {
  long bytes = 0;
  for (int i = 0; i < n; i++) bytes += header[ids[i]].len;
  int taken = driver(cpu, ids, n);
  ifc[cpu][3][0] += taken;
  ifc[cpu][3][1] += bytes;
  return taken;
}

static int push(int32_t *ids, int n, int32_t stamp) {
  uint32_t tail = atomic_load_explicit(&ring.tail, memory_order_relaxed), room = RING - (tail - ring.head_seen);
  if (room < (uint32_t)n) {
    ring.head_seen = atomic_load(&ring.head);
    room = RING - (tail - ring.head_seen);
    if (room < (uint32_t)n) n = room;
  }
  for (int i = 0; i < n; i++) {
    header[ids[i]].owner = IN_RING;
    ring.entry[(tail + i) & (RING - 1)].id = ids[i];
    ring.entry[(tail + i) & (RING - 1)].stamp = stamp;
  }
  if (n) atomic_store(&ring.tail, tail + n);
  return n;
}

static uint32_t frame[CLUSTER / 4];

/* One batch: allocate, fill, section, look-up, send. Returns how many were accepted. */
static int send_batch(int batch, int bytes, int through_ring) {
  int32_t ids[MAX];
  section(0);
  int32_t gencnt = atomic_load(&slot[3].gencnt);
  int sent = 0;
  if (gencnt & slot[3].flags & 1) {
    int n = alloc(0, ids, batch, bytes);
    for (int i = 0; i < n; i++) memcpy(data[ids[i]] + HEADROOM, frame, bytes);
    sent = through_ring ? push(ids, n, gencnt) : transmit(0, ids, n);
    if (sent < n) end_life(0, ids + sent, n - sent);
  }
  section(0);
  return sent;
}

static int receive(int batch) {
  int32_t ids[MAX];
  section(1);
  uint32_t head = atomic_load_explicit(&ring.head, memory_order_relaxed), n = ring.tail_seen - head;
  if (n < (uint32_t)batch) {
    ring.tail_seen = atomic_load(&ring.tail);
    n = ring.tail_seen - head;
  }
  if (n > (uint32_t)batch) n = batch;
  int32_t gencnt = atomic_load(&slot[3].gencnt);
  for (uint32_t i = 0; i < n; i++) {
    ids[i] = ring.entry[(head + i) & (RING - 1)].id;
    if (header[ids[i]].owner != IN_RING || ring.entry[(head + i) & (RING - 1)].stamp != gencnt) abort();
    header[ids[i]].owner = MINE(1);
  }
  if (n) {
    transmit(1, ids, n);
    atomic_store(&ring.head, head + n);
  }
  section(1);
  return n;
}

static void reset(void) {
  memset(&depot, 0, sizeof depot);
  memset(cache, 0, sizeof cache);
  memset(&ring, 0, sizeof ring);
  memset(header, 0, sizeof header);
  for (int m = 0; m < MAGAZINES; m++) {
    for (int i = 0; i < MAGAZINE; i++) magazine[m].id[i] = m * MAGAZINE + i;
    give(m < MBUFS / MAGAZINE ? &depot.full : &depot.empty, m);
  }
  slot[3].gencnt = 7;
  slot[3].flags = 1;
}

static double rtc(const struct job *job) {
  long n = 0;
  double start = now_ns(), now;
  reset();
  do {
    for (int i = 0; i < 256; i++) n += send_batch(job->batch, job->bytes, 0);
  } while ((now = now_ns()) - start < job->ms * 1e6);
  return n / (now - start) * 1e3;
}

static _Atomic int stop, begun;
static long received;

static void *consume(void *arg) {
  (void)arg;
  double waited = waited_ns();
  begun = 1;
  while (!stop) received += receive(MAX);
  while (receive(MAX));
  waited_sum += (long long)(waited_ns() - waited);
  return NULL;
}

static double handoff(const struct job *job) {
  pthread_t t;
  reset();
  stop = begun = 0;
  received = 0;
  pthread_create(&t, NULL, consume, NULL);
  while (!begun) sched_yield();
  double start = now_ns(), now;
  do {
    for (int i = 0; i < 64; i++) send_batch(job->batch, job->bytes, 1);
  } while ((now = now_ns()) - start < job->ms * 1e6);
  double rate = received / (now - start) * 1e3;
  stop = 1;
  pthread_join(t, NULL);
  return rate;
}

int main(void) {
  const struct peer peers[] = { { "rtc", rtc }, { "handoff", handoff }, { NULL, NULL } };
  return serve(peers);
}
