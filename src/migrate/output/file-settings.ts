/** The settings of Leat that the settings of other tools can stand for, as the configuration file has them. */
export interface FileSettings {
  listen?: string
  tlsCert?: string
  tlsKey?: string
  logLevel?: string
  peersSecretFile?: string
  defaultNamespace?: string
  allow?: readonly string[]
  upstreams?: readonly UpstreamEntry[]
  sources?: readonly SourceEntry[]
  objectStore?: ObjectStoreEntry
  redirects?: readonly RedirectEntry[]
}

export interface UpstreamEntry {
  readonly namespace: string
  readonly host?: readonly string[] | undefined
  readonly tls?: boolean | undefined
  readonly acceptInvalidCerts?: boolean | undefined
  readonly caFile?: string | undefined
  readonly userAgent?: string | undefined
  readonly username?: string | undefined
  readonly password?: string | undefined
  readonly passwordFile?: string | undefined
  readonly dockerConfig?: string | undefined
  readonly prefix?: string | undefined
  readonly tagTtl?: string | undefined
}

export interface RedirectEntry {
  readonly host: string
  readonly to: string
}

export interface SourceEntry {
  readonly docker?: string | undefined
  readonly dir?: string | undefined
  readonly namePrefix?: string | undefined
  readonly prefixes?: readonly string[] | undefined
  readonly exclusive?: boolean | undefined
}

/** The setting `objectStore`, as far as other tools have a counterpart. */
export interface ObjectStoreEntry {
  readonly url: string
  readonly endpoint?: string | undefined
  readonly region?: string | undefined
  /** The registry of all names, if the bucket has them without one. */
  readonly registry?: string | undefined
  readonly layout?: 'oci-registry' | undefined
}
