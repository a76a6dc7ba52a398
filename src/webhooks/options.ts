/** What can happen to an image on this node. */
export const IMAGE_EVENT_KINDS = ['pull', 'push', 'delete', 'first-use'] as const
export type ImageEventKind = (typeof IMAGE_EVENT_KINDS)[number]

/** A URL that is told what happens to images. */
export interface WebhookOptions {
  /** http or https, without user name and password. */
  readonly url: string
  /** Default: all that the format has. */
  readonly events?: readonly ImageEventKind[]
  /** Patterns of repositories, as in `allow`; default: all. */
  readonly names?: readonly string[]
  /** Default: cloudevents. `distribution` has no event for the first use. */
  readonly format?: 'cloudevents' | 'distribution'
  /** Signs each request. The first line has the secret; a second one has the former secret, which signs, too. */
  readonly secretFile?: string
  /** Lines such as `Authorization: Bearer …`, which are sent with each request. */
  readonly headersFile?: string
  /** PEM certificates of authorities that are trusted besides those of the system. */
  readonly caFile?: string
}
