import type { CommandEntry } from './context/command.ts'

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'serve',
    summary: 'run the node agent',
    load: async () => (await import('./commands/serve.ts')).serve,
  },
  {
    name: 'warm',
    summary: 'fetch images before anybody pulls them',
    load: async () => (await import('./commands/warm.ts')).warm,
  },
  {
    name: 'export',
    summary: 'write images into files for other programs',
    load: async () => (await import('./commands/export.ts')).exportImages,
  },
  {
    name: 'copy',
    summary: 'write images into a bucket',
    load: async () => (await import('./commands/stored/copy.ts')).copy,
  },
  {
    name: 'import',
    summary: 'store images from Docker, archives or folders',
    load: async () => (await import('./commands/import.ts')).importImages,
  },
  {
    name: 'status',
    summary: 'show the state of the running agent',
    load: async () => (await import('./commands/reports/status.ts')).status,
  },
  {
    name: 'ls',
    summary: 'list cached images, or blobs',
    load: async () => (await import('./commands/stored/ls.ts')).ls,
  },
  {
    name: 'pin',
    summary: 'protect images or blobs from eviction',
    load: async () => (await import('./commands/stored/pin.ts')).pin,
  },
  {
    name: 'unpin',
    summary: 'allow images or blobs to be evicted again',
    load: async () => (await import('./commands/stored/pin.ts')).unpin,
  },
  {
    name: 'rm',
    summary: 'remove images and the blobs only they need',
    load: async () => (await import('./commands/stored/rm.ts')).rm,
  },
  {
    name: 'gc',
    summary: 'evict content down to the low-water mark now',
    load: async () => (await import('./commands/stored/gc.ts')).gc,
  },
  {
    name: 'verify',
    summary: 're-hash all stored content',
    load: async () => (await import('./commands/stored/verify.ts')).verify,
  },
  {
    name: 'why',
    summary: 'explain where an image or digest is, and why',
    load: async () => (await import('./commands/reports/why.ts')).why,
  },
  {
    name: 'events',
    summary: 'follow requests and transfers of the agent as they happen',
    load: async () => (await import('./commands/reports/events.ts')).events,
  },
  {
    name: 'doctor',
    summary: 'find problems on this node and say how to solve them',
    load: async () => (await import('./commands/doctor.ts')).doctor,
  },
  {
    name: 'config',
    summary: 'check or show the settings, or take over those of other tools',
    load: async () => (await import('./commands/config.ts')).config,
  },
  {
    name: 'runtime',
    summary: 'configure containerd, CRI-O, podman or Docker to use the agent',
    load: async () => (await import('./commands/runtime.ts')).runtime,
  },
  {
    name: 'completion',
    summary: 'print the completion script of a shell',
    load: async () => (await import('./commands/completion.ts')).completionOf(COMMANDS),
  },
  {
    name: 'dht',
    summary: 'run a DHT bootstrap node, through which agents find each other',
    load: async () => (await import('./commands/dht.ts')).dht,
  },
]
