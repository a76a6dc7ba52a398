export const RUNTIMES = ['containerd', 'crio', 'docker'] as const
export type Runtime = (typeof RUNTIMES)[number]

/** The mirror that the runtimes of a host should use, which is the agent. */
export interface MirrorSettings {
  /** The `host:port` at which this host reaches the agent. */
  readonly address: string
  /** Whether the address is a loopback address, so that plain HTTP is safe. */
  readonly isLoopback: boolean
  /** Undefined if the agent speaks plain HTTP. */
  readonly tls: Tls | undefined
  /** The only registries for which the mirror is used; undefined for all. */
  readonly only: readonly string[] | undefined
  /** Registries to name where a runtime needs a list, besides the well-known ones. */
  readonly alsoFor: readonly string[]
  /** The path of containerd's own configuration. */
  readonly containerdConfig: string
  /** Whether `config_path` may be added to that configuration. */
  readonly writeConfig: boolean
}

/** What the runtimes need to trust an agent with TLS. */
export interface Tls {
  /** The CA of the agent's certificate, in PEM; undefined if the host trusts it already. */
  readonly ca: string | undefined
}

/** The text that a file should have. */
export interface Edit {
  readonly path: string
  readonly text: string
}

/** What has to be written for one runtime. Planning writes nothing. */
export interface Plan {
  readonly edits: readonly Edit[]
  /** What the operator must do before the runtime uses the mirror. */
  readonly todo: readonly string[]
  readonly notes: readonly string[]
  /** The registries for which others have added the mirror already, so that no edit is needed. */
  readonly byOthers?: readonly string[]
}

/** Removes the own part, that is what an install has added, from a file that others have changed since. */
export interface OwnPartRemover {
  /** Returns the rest of the text; undefined if the file consists of the own part only. */
  removeOwnPart(text: string, options: RemovalOptions): string | undefined
}

export interface RemovalOptions {
  readonly path: string
  /** The URL of the mirror that was written; undefined without an install record. */
  readonly url: string | undefined
  /** The text before the install; undefined if there was no file, or without an install record. */
  readonly before: string | undefined
}

export function urlOf({ address, tls }: Pick<MirrorSettings, 'address' | 'tls'>): string {
  return `${tls === undefined ? 'http' : 'https'}://${address}`
}
