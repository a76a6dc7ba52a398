/** A domain of one's own that stands before a registry. */
export interface RedirectOptions {
  /** The host that clients name, without a port; `*` for every host that no other entry has. */
  readonly host: string
  /** An https URL with `/v2/`, such as `https://us-docker.pkg.dev/v2/project/repo/`. */
  readonly to: string
  /** `redirect` sends clients to the registry, `serve` answers from the cache. Default: redirect. */
  readonly mode?: 'redirect' | 'serve'
}
