export const RUNTIMES = ['containerd', 'crio', 'docker'] as const
export type Runtime = (typeof RUNTIMES)[number]

/** What the runtimes of a host are to be told. */
export interface Wanted {
  /** `host:port` at which the agent is reached from this host. */
  readonly address: string
  /** Nobody else can be there, so that plain HTTP is no risk. */
  readonly isLoopback: boolean
  /** Undefined: the agent speaks plain HTTP. */
  readonly tls: Tls | undefined
  /** Undefined: all. */
  readonly registries: readonly string[] | undefined
  /** containerd's own configuration. */
  readonly containerdConfig: string
  /** Settings that only that file can hold may be added to it. */
  readonly writeConfig: boolean
}

/** What runtimes have to know of an agent that speaks TLS. */
export interface Tls {
  /** Who has signed its certificate, in PEM; undefined: somebody whom the host trusts. */
  readonly ca: string | undefined
}

/** A file as it should be. */
export interface Edit {
  readonly path: string
  readonly text: string
}

/** What has to be written for one runtime, made from what is there without writing any of it. */
export interface Plan {
  readonly edits: readonly Edit[]
  /** What others have to do, without which the runtime would not see its settings. */
  readonly todo: readonly string[]
  /** What is good to know. */
  readonly notes: readonly string[]
  /** What others have pointed here themselves, so that nothing is to be edited for it. */
  readonly byOthers?: readonly string[]
}

/** Takes our part out of a file that others have changed since. */
export interface Cutter {
  /** A file without our part; undefined when nothing else is left of it. */
  cut(text: string, what: CutOptions): string | undefined
}

export interface CutOptions {
  readonly path: string
  /** The mirror that was written; undefined when nobody remembers. */
  readonly url: string | undefined
  /** As it was before; undefined: not there, or not remembered. */
  readonly before: string | undefined
}

export function urlOf({ address, tls }: Pick<Wanted, 'address' | 'tls'>): string {
  return `${tls === undefined ? 'http' : 'https'}://${address}`
}
