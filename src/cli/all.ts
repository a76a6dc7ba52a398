import type { Command } from './context/command.ts'

export interface Offer {
  readonly name: string
  readonly summary: string
  /** Only the command that is run is loaded, with all that it needs. */
  readonly load: () => Promise<Command>
}

export const COMMANDS: readonly Offer[] = [
  {
    name: 'serve',
    summary: 'run the node agent',
    load: async () => (await import('./commands/serve.ts')).serve,
  },
  {
    name: 'warm',
    summary: 'have images here before anybody pulls them',
    load: async () => (await import('./commands/warm.ts')).warm,
  },
  {
    name: 'status',
    summary: 'how the running agent is doing',
    load: async () => (await import('./commands/status.ts')).status,
  },
  {
    name: 'ls',
    summary: 'which images, or blobs, are cached',
    load: async () => (await import('./commands/ls.ts')).ls,
  },
  {
    name: 'pin',
    summary: 'keep images or blobs, whatever else has to go',
    load: async () => (await import('./commands/pin.ts')).pin,
  },
  {
    name: 'unpin',
    summary: 'let them be evicted again',
    load: async () => (await import('./commands/pin.ts')).unpin,
  },
  {
    name: 'rm',
    summary: 'forget images and drop what only they need',
    load: async () => (await import('./commands/rm.ts')).rm,
  },
  {
    name: 'gc',
    summary: 'evict down to the low-water mark now',
    load: async () => (await import('./commands/gc.ts')).gc,
  },
  {
    name: 'verify',
    summary: 're-hash everything that is kept',
    load: async () => (await import('./commands/verify.ts')).verify,
  },
  {
    name: 'why',
    summary: 'where an image or digest is and why',
    load: async () => (await import('./commands/why.ts')).why,
  },
  {
    name: 'doctor',
    summary: 'what is wrong on this node, and what to do about it',
    load: async () => (await import('./commands/doctor.ts')).doctor,
  },
  {
    name: 'runtime',
    summary: 'let containerd, CRI-O, podman or Docker ask the agent first, or no longer',
    load: async () => (await import('./commands/runtime.ts')).runtime,
  },
  {
    name: 'dht',
    summary: 'run a DHT bootstrap node, through which agents find each other',
    load: async () => (await import('./commands/dht.ts')).dht,
  },
]
