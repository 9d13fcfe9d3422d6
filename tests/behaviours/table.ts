/**
 * What FreeBSD's interfaces, epoch, vnets and drivers do that a driver or a program can tell, by number: 71 sentences,
 * said as they hold here. A test that checks one carries its number in front of its name: `[B12] ...`, or
 * `[B12 B13] ...` for several. `docs/behaviours.md` is generated from both.
 *
 * @module
 */

/** One behaviour. */
export interface Behaviour {
  /** What holds, in one sentence. */
  readonly says: string;
  /** How it differs from FreeBSD's, and why. */
  readonly departs?: string;
  /** Why there is nothing to test: then no test may carry its number. */
  readonly not?: string;
}

/** Behaviours that belong together. */
export interface Section {
  /** What they are about. */
  readonly title: string;
  /** By number. */
  readonly rows: Readonly<Record<number, Behaviour>>;
}

/** The sections, in order. One that departs from FreeBSD says why. */
export const SECTIONS: readonly Section[] = [
  {
    title: "Identity, references, publication",
    rows: {
      1: {
        says: "A new interface takes the lowest free index from 1 on, and nobody holds a reference to it.",
        departs:
          "FreeBSD's count begins at one for the table; here the state owns the slot and the count is its users'",
      },
      2: {
        says: "A handle carries the gencnt that its slot has from that link on: odd while attached.",
        departs: "FreeBSD takes the slot's generation at allocation",
      },
      3: {
        says: "The gencnt goes up by one at each link and each unlink, a move included, and at nothing else.",
        departs: "FreeBSD counts frees only, so its generation cannot tell that an interface has moved",
      },
      4: { says: "A handle of an earlier link finds nothing, also when its slot has another occupant." },
      5: {
        says:
          "A gencnt never wraps: a slot at its end is not given out again, a move is refused before it, a detach still fits.",
        departs: "stricter: FreeBSD's 16 bits wrap",
      },
      6: { says: "Every look-up outside an open section throws." },
      7: {
        says: "A section of a vnet finds that vnet's interfaces only; the kernel's own finds all.",
        departs: "the section carries the vnet, in place of a current vnet of the thread",
      },
      8: { says: "A look-up that takes a reference finds nothing from unlink on, in a detach or a move." },
      9: {
        says:
          "Taking a reference outside a section throws; once the free has been asked for it gives none and leaves the count as it is.",
      },
      10: {
        says:
          "A release without a reference throws, with the sanitizer and without; there is no way to take one that cannot fail.",
        departs: "stricter: FreeBSD asserts in debug kernels",
      },
      11: { says: "The last release frees the slot only after every section that was open then has closed." },
      12: {
        says:
          "The deferred free looks at the count again, and waits for the last release when somebody has one.",
        departs: "stricter: FreeBSD frees what it queued",
      },
      13: {
        says:
          "A slot is free only after it is found nowhere and its count refuses references, in this order.",
        departs: "FreeBSD clears the table's entry, then drops the table's reference",
      },
      14: {
        says:
          "Nothing that hangs off an interface is freed before a grace period has passed since it could be reached.",
        departs: "stricter: FreeBSD frees softc and parts of the address-family data at once",
      },
      15: { says: "Address-family data that a section found is valid until the section ends." },
      16: {
        says:
          "No index, name, list or event leads to an interface before its hooks and its address-family data are in place.",
        departs: "stricter: FreeBSD links Ethernet interfaces whose output is not set yet",
      },
      17: { says: "Arrival is told after link, departure after unlink, each once." },
      18: {
        says:
          "A driver without transmit is refused; purging what is queued is the framework's, so none can be missing.",
        departs: "FreeBSD takes transmit and qflush from the driver, both or neither",
      },
    },
  },
  {
    title: "Detach and flags",
    rows: {
      19: {
        says: "Detaching what never was attached throws; a second detach gets the first one's promise.",
        departs: "FreeBSD panics when it finds the interface on no list",
      },
      20: {
        says: "Detach, move, return to the home vnet and destroy of one interface come one after the other.",
      },
      21: { says: "Of two that destroy the same interfaces one succeeds, the other gets ENXIO." },
      22: {
        says: "When a detach has resolved, no hook runs on any CPU and nothing can enter one.",
        departs: "stricter: FreeBSD's dead stubs leave out init, counters, media and send tags",
      },
      23: {
        says: "Counters stay readable after a detach, and do not change.",
        departs: "stricter: FreeBSD asks the driver, whose softc is gone",
      },
      24: {
        says:
          "For that a driver waits for nothing: what it is given has no grace period to wait for, and no lock.",
        departs: "stricter: drivers of FreeBSD wait for epochs themselves",
      },
      25: {
        says: "Both hold as well for what is detached because its vnet goes.",
        departs: "stricter: FreeBSD takes a short way there, without the dead stubs",
      },
      26: {
        says: "A link change that a driver reports while its interface is not attached is told to nobody.",
      },
      27: {
        says:
          "A timer, task or queued packet that names an interface belongs to a scope that ends with it, or names it weakly.",
        departs: "stricter: FreeBSD queues link tasks that hold nothing",
      },
      28: { says: "Down is told before UP is cleared, up after it is set." },
      29: { says: "A driver hears of down after it is so, of up before." },
      30: {
        says:
          "Promisc and allmulti are counted: only 0 to 1 and 1 to 0 reach the driver, and a refusal rolls back.",
      },
    },
  },
  {
    title: "Epoch",
    rows: {
      31: {
        says:
          "Entering a section waits for nothing, whatever waits for it; a section that would sleep is refused.",
      },
      32: { says: "Waiting for the epoch inside a section throws." },
      33: {
        says:
          "Nothing can be held across a wait: what would wait is refused inside a section or hook, by name.",
        departs:
          "FreeBSD warns of locks that are held; here structural operations take none, they claim by state",
      },
      34: {
        says: "A grace period waits for the sections that were open when it began, and for no later one.",
      },
      35: {
        says:
          "Sections nest; they are functions, so they end in order, and one that is kept past its end is refused.",
        departs: "FreeBSD's trackers are exited by hand, so it has to report a wrong order",
      },
      36: { says: "Epoch callbacks run outside any section, oldest first on each CPU." },
      37: {
        says: "A drain resolves only after every callback that was queued before has run, on every CPU.",
      },
      38: { says: "A callback may queue another, which waits for a grace period of its own." },
      39: {
        says: "Before there is an epoch a callback runs at once.",
        not: "there is no such time: a kernel has its epoch before anybody can name the kernel",
      },
      40: {
        says: "A reader that stays in its section delays frees, and neither other readers nor publication.",
      },
    },
  },
  {
    title: "vnet",
    rows: {
      41: { says: "A new vnet is listed only after its constructors have run, in ascending order." },
      42: { says: "Destructors run in exact reverse." },
      43: { says: "Loading a module runs its constructors for every vnet, unloading it its destructors." },
      44: { says: "A virtualised variable begins with the same value in old vnets and new ones." },
      45: {
        says: "A vnet that is destroyed gives back what it borrowed before any of its destructors runs.",
      },
      46: { says: "A vnet on its way out takes nothing: EBUSY." },
      47: {
        says:
          "A move keeps the index, changes the vnet, and leaves only the groups that the interface was made with; its handle is a new one.",
        departs: "FreeBSD keeps the generation too",
      },
      48: {
        says:
          "A move to the vnet that it is in or to a name that is taken gives EEXIST, of what is gone ENXIO, a lost race ENODEV.",
      },
      49: {
        says: "In a move no packet passes from one vnet's state to the other's.",
        departs: "stricter: FreeBSD's senders may still hold the interface when its vnet changes",
      },
    },
  },
  {
    title: "Data path",
    rows: {
      50: { says: "Output takes every packet of the batch, sent or refused." },
      51: {
        says:
          "Output through what is not UP gives ENETDOWN, through a driver that failed ENXIO; what is gone is not found at all. All of it is counted.",
        departs: "there is no RUNNING flag: publication waits for the driver",
      },
      52: { says: "A queue that is full drops what does not fit, counts each packet and gives ENOBUFS." },
      53: {
        says:
          "What cannot be transmitted at once (another CPU's queue, a hook on the stack, a full device) waits in a ring whose owner is woken: none is stranded.",
        departs: "FreeBSD has a transmit lock and a deferred task; here a queue has one owner",
      },
      54: { says: "Packets of one flow leave in their order." },
      55: {
        says:
          "A received packet that waits is dropped when its interface is gone, moved or another's, never taken for a later one's.",
      },
      56: {
        says: "A tap sees each packet once in each direction, and may be closed in the middle of traffic.",
      },
    },
  },
  {
    title: "Devices, modules, cloners",
    rows: {
      57: {
        says:
          "The highest bid of 0 or less wins, 0 ends the looking, and nothing that a probe did reaches attach.",
      },
      58: { says: "An attach that fails gives back unit and slot, and stop and destroy are not called." },
      59: { says: "A driver that refuses a detach goes on as before." },
      60: { says: "Nobody can refuse an unplug; it leaves no timer, task, transfer or reference behind." },
      61: {
        says: "The softc outlives every section that could have led to it.",
        departs: "stricter: FreeBSD frees it when detach returns",
      },
      62: {
        says:
          "Unload is refused while an instance says no or another module depends on it; force asks no instance, and stops at a dependent all the same.",
      },
      63: {
        says: "After an unload no function of the module is called.",
        departs: "stricter: FreeBSD leaves callbacks, threads and destructors to the driver's care",
      },
      64: {
        says: "A load that fails, at any step and on any CPU, undoes exactly what was done.",
        departs: "FreeBSD calls the half-loaded module's unload; here the framework undoes",
      },
      65: { says: "A module that is loaded again begins afresh." },
      66: { says: "A cloner goes after all that it made, and its name is free then." },
    },
  },
  {
    title: "virtio and USB",
    rows: {
      67: {
        says:
          "A virtqueue's index is published after its descriptors, a used entry is read after its index, each cookie comes back once.",
      },
      68: { says: "Neither side of a virtqueue loses a wake-up: who asks for one looks again." },
      69: { says: "A reset with buffers in flight gives each of them back once." },
      70: {
        says: "The NCM reader refuses a bad block, skips a bad frame, and reads nothing outside the block.",
      },
      71: {
        says:
          "A USB device that is pulled out before its attach has ended is unwound, and nothing ends twice.",
      },
    },
  },
];
