import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/names/repository.ts'

/** The hosts of this agent that lead to a registry elsewhere. */
export interface Redirects {
  /** Finds the redirected host to which a request was sent; undefined: the request is one to this agent itself. */
  find(sent: {
    /** The host of the request, perhaps with a port. */
    readonly host: string | undefined
    /** The query parameter `ns`, in which containerd names the registry to a mirror. */
    readonly ns: string | undefined
  }): RedirectedHost | undefined
}

/** A domain that stands before a registry. */
export interface RedirectedHost {
  /** The repository, at the registry, that a name in a path means; undefined for a text that is no name. */
  repositoryOf(name: string): Repository | undefined
  /**
   * Gives the URL where the client gets what it asks for. Undefined: the agent answers itself. Never rejects, and takes
   * a few seconds at most.
   */
  locate(request: RedirectedRequest): Promise<string | undefined>
  /** The web page about this host. `host` is the one that the client has used. */
  page(host: string | undefined): WebPage
}

/** What a client asks a redirected host for. */
export interface RedirectedRequest {
  readonly repository: Repository
  readonly wanted: Wanted
  /** The query as the client has sent it. */
  readonly query: string
  /** The client wants the content, not only its headers. */
  readonly isGet: boolean
  readonly sender: RequestSender
}

export type Wanted =
  | { readonly kind: 'manifest'; readonly reference: string }
  | { readonly kind: 'blob' | 'referrers'; readonly digest: Digest }
  | { readonly kind: 'tags' }

/** Who has sent a request, as far as the connection and the headers say. */
export interface RequestSender {
  /** The remote address of the connection. */
  readonly address: string
  /** The headers in which proxies say for whom they ask. */
  readonly forwardedFor: string | undefined
  readonly forwarded: string | undefined
}

export interface WebPage {
  readonly html: string
  /** The value of `Content-Security-Policy`. */
  readonly policy: string
}
