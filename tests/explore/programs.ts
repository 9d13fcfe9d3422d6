/** Tiny programs whose schedules can be counted by hand. */
import { add, get, load, notify, set, store, until, wait } from "../../core/doors/arena.ts";
import { Cpu } from "../../core/cpu/cpu.ts";
import { MBUF } from "../../core/memory/arena.ts";
import { BORN } from "../../core/memory/counters.ts";
import type { Scenario, ScenarioThread } from "../../testing/mod.ts";

/** Words of the heap that the programs use. */
const at = (t: { arena: { plan: { heap: number } } }, i: number): number => t.arena.plan.heap + i * 16;

/** `n` atomic adds on word `w`. */
function adder(name: string, n: number, w: number): ScenarioThread {
  return {
    name,
    run(t) {
      for (let i = 0; i < n; i++) add(t.arena.a, at(t, w), 1);
    },
  };
}

function adders(name: string, ...counts: number[]): Scenario {
  return { name, threads: counts.map((n, i) => adder(`T${i}`, n, 0)) };
}

const programs: Record<string, Scenario> = {
  one: adders("one", 3),
  "1+1": adders("1+1", 1, 1),
  "2+2": adders("2+2", 2, 2),
  "3+3": adders("3+3", 3, 3),
  "1+1+1": adders("1+1+1", 1, 1, 1),
  "2+2+2": adders("2+2+2", 2, 2, 2),
  "10+10": adders("10+10", 10, 10),
  apart: { name: "apart", threads: [adder("A", 3, 0), adder("B", 3, 1)] },
  /** B's first two are its own: only the third can conflict. */
  mixed: {
    name: "mixed",
    threads: [adder("A", 2, 0), {
      name: "B",
      run(t) {
        add(t.arena.a, at(t, 1), 1);
        add(t.arena.a, at(t, 1), 1);
        add(t.arena.a, at(t, 0), 1);
      },
    }],
  },
  lost: {
    name: "lost",
    mustHappen: ["both ran"],
    threads: ["A", "B"].map((name) => ({
      name,
      run(t) {
        const word = at(t, 0);
        store(t.arena.a, word, load(t.arena.a, word) + 1);
        t.happened("both ran");
      },
    })),
    check(end) {
      const sum = load(end.arena.a, end.arena.plan.heap);
      if (sum !== 2) throw new Error(`2 increments gave ${sum}`);
      return "2";
    },
  },
  /** A second thread must come between twice: two preemptions. */
  deep: {
    name: "deep",
    threads: [{
      name: "A",
      run(t) {
        for (let i = 0; i < 2; i++) {
          store(t.arena.a, at(t, 0), i * 2 + 1);
          store(t.arena.a, at(t, 0), i * 2 + 2);
        }
      },
    }, {
      name: "B",
      run(t) {
        const seen = [load(t.arena.a, at(t, 0)), load(t.arena.a, at(t, 0))];
        if (seen[0] === 1 && seen[1] === 3) throw new Error("saw both odd values");
      },
    }],
  },
  deadlock: {
    name: "deadlock",
    threads: [0, 1].map((i) => ({
      name: "AB"[i]!,
      run(t) {
        const { a } = t.arena;
        store(a, at(t, i), 1);
        until(a, [at(t, 1 - i)], () => load(a, at(t, 1 - i)) === 0);
        store(a, at(t, i), 0);
      },
    })),
  },
  livelock: {
    name: "livelock",
    steps: 200,
    threads: [{
      name: "A",
      run(t) {
        while (load(t.arena.a, at(t, 0)) === 0);
      },
    }, { name: "B", run: (t) => store(t.arena.a, at(t, 0), 1) }],
  },
  message: {
    name: "message",
    threads: [{
      name: "producer",
      run(t) {
        set(t.arena.a, at(t, 1), 42);
        store(t.arena.a, at(t, 0), 1);
        notify(t.arena.a, at(t, 0));
      },
    }, {
      name: "consumer",
      run(t) {
        wait(t.arena.a, at(t, 0), 0, 1000);
        if (get(t.arena.a, at(t, 1)) !== 42) throw new Error("not published");
      },
    }],
  },
  race: {
    name: "race",
    threads: [{
      name: "producer",
      run(t) {
        set(t.arena.a, at(t, 1), 42);
        set(t.arena.a, at(t, 0), 1);
      },
    }, {
      name: "consumer",
      run(t) {
        if (load(t.arena.a, at(t, 0)) === 1) get(t.arena.a, at(t, 1));
      },
    }],
  },
  /** Each thread makes as many accesses as its dice say. */
  dice: {
    name: "dice",
    threads: ["A", "B"].map((name) => ({
      name,
      run(t) {
        for (let n = Math.random() * 4; n > 0; n--) add(t.arena.a, at(t, 0), 1);
      },
    })),
  },
  /** The producer rings before the sleeper lies down, and not again. */
  asleep: {
    name: "asleep",
    threads: [{
      name: "producer",
      run(t) {
        if (load(t.arena.a, at(t, 1)) === 1) notify(t.arena.a, at(t, 0));
      },
    }, {
      name: "sleeper",
      run(t) {
        store(t.arena.a, at(t, 1), 1);
        wait(t.arena.a, at(t, 0), 0, 1000);
      },
    }],
  },
  /** B touches what A has given back. */
  freed: {
    name: "freed",
    threads: [{
      name: "A",
      run(t) {
        store(t.arena.a, at(t, 0), 1);
        t.sanitizer!.mark(at(t, 1), 16, "epoch callback");
      },
    }, {
      name: "B",
      run(t) {
        if (load(t.arena.a, at(t, 0)) === 0) load(t.arena.a, at(t, 1));
      },
    }],
  },
  /** A packet is born, and its buffer is freed behind the books' back. */
  leak: {
    name: "leak",
    threads: [{
      name: "A",
      run(t) {
        const cpu = new Cpu(0, t.arena, { now: () => 0, virtual: true }, { post() {} }, t.sanitizer);
        const ids = new Int32Array(1);
        cpu.pool.alloc(ids, 0, 1, BORN.rx, 64);
        set(t.arena.a, cpu.pool.headerAt(ids[0]!) + MBUF.owner, 0);
      },
    }],
  },
  vacuous: {
    name: "vacuous",
    mustHappen: ["the moon is blue"],
    threads: [adder("A", 1, 0), adder("B", 1, 1)],
  },
  operations: {
    name: "operations",
    threads: [{
      name: "control",
      operations: {
        async first(t) {
          await t.stepper.step("one", [], () => true);
          store(t.arena.a, at(t, 0), 1);
          await t.stepper.step("B has seen it", [at(t, 1)], () => load(t.arena.a, at(t, 1)) === 1);
        },
        async second(t) {
          await t.stepper.step("two", [], () => true);
          add(t.arena.a, at(t, 2), 1);
        },
      },
    }, {
      name: "B",
      run(t) {
        const { a } = t.arena;
        until(a, [at(t, 0)], () => load(a, at(t, 0)) === 1);
        store(a, at(t, 1), 1);
      },
    }],
  },
};

export default programs;
