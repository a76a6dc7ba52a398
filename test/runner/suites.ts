import { availableParallelism } from 'node:os'

export interface Suite {
  readonly name: string
  /** What the command's help says of the suite. */
  readonly about: string
  /** Paths below `test/` that begin with one of these words belong to the suite, unless an earlier suite has them. */
  readonly paths: readonly string[]
  /** How many files run at a time. */
  readonly concurrency: number
  /** How long a file may go without the end of a test. A file that is silent for longer is ended and has failed. */
  readonly silenceMs: number
  /** Whether the suite runs only if the command names it. */
  readonly isOnlyByName?: boolean
}

/** The fast suite has what no other suite names: the rooms of the source, each tested by itself. */
const FAST: Suite = {
  name: 'fast',
  about: 'needs no program but Node',
  paths: [],
  // Many of these tests wait for a socket or a timer.
  concurrency: 2 * availableParallelism(),
  silenceMs: 120_000,
}

export const SUITES: readonly Suite[] = [
  FAST,
  {
    name: 'commands',
    about: 'whole agents, the command line, and what is deployed',
    paths: ['agent', 'cli/', 'deploy/'],
    concurrency: 2 * availableParallelism(),
    silenceMs: 120_000,
  },
  {
    name: 'attacks',
    about: 'hostile clients against one agent',
    paths: ['attacks/'],
    concurrency: Math.max(2, availableParallelism()),
    silenceMs: 180_000,
  },
  {
    name: 'clients',
    about: 'real container tools',
    paths: ['clients/'],
    // The clients share the processors with the daemons that they start.
    concurrency: 1,
    silenceMs: 300_000,
  },
  {
    name: 'chaos',
    about: 'an agent that is killed, damaged and run under load',
    paths: ['chaos/'],
    concurrency: 1,
    silenceMs: 400_000,
  },
  {
    name: 'cluster',
    about: 'many agents, each in a network namespace of its own',
    paths: ['cluster/'],
    concurrency: 1,
    silenceMs: 300_000,
  },
  { name: 'start', about: 'a fresh clone', paths: ['start/'], concurrency: 1, silenceMs: 300_000 },
  {
    name: 'kubernetes',
    about: 'the chart on a real Kubernetes; runs only if it is named',
    paths: ['kubernetes/'],
    concurrency: 1,
    silenceMs: 900_000,
    isOnlyByName: true,
  },
]

/** `file` is written as `test/store/disk-blob-store.test.ts`. */
export function suiteOf(file: string): Suite {
  return SUITES.find(({ paths }) => paths.some((path) => file.startsWith(`test/${path}`))) ?? FAST
}
