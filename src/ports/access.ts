import type { Repository } from '../oci/names/repository.ts'
import type { WantedContent } from './access/pull-rights.ts'

/** What a client wants to do. `list` means the tags of a repository, or the names of all repositories. */
export type Action = 'pull' | 'push' | 'delete' | 'list'

/** Who asks. */
export interface Caller {
  /** The value of the `Authorization` header. It is never logged. */
  readonly authorization: string | undefined
  /**
   * The certificate that the client has proved to own, in DER, if one of the authorities in the settings has issued it:
   * TLS decides that, with all intermediate certificates that the client has sent.
   */
  readonly certificate: Uint8Array | undefined
  readonly address: string
  readonly isLocal: boolean
}

/** One thing that a client wants to do with one repository; without a repository, with the registry as a whole. */
export interface Wish {
  readonly action: Action
  readonly repository: Repository | undefined
  /** What of the repository is to be read; undefined where nothing is. */
  readonly content?: WantedContent | undefined
}

/** Who a client turned out to be. */
export interface Identity {
  /** A user name, the subject of a token, or the name in a certificate; undefined: anonymous. */
  readonly name: string | undefined
}

export type Decision =
  | {
      readonly kind: 'allowed'
      readonly identity: Identity
      /** Ways to log in that the client may use, although it need not: values of `WWW-Authenticate`. */
      readonly challenges?: readonly string[]
    }
  /** The client may log in: `challenges` are the values of `WWW-Authenticate`. */
  | { readonly kind: 'login'; readonly challenges: readonly string[]; readonly message: string }
  | { readonly kind: 'forbidden'; readonly message: string }
  /** The client is answered as if there were nothing, so that it asks the registry itself. */
  | { readonly kind: 'absent'; readonly message: string }
  /** It cannot be decided now. */
  | { readonly kind: 'unavailable'; readonly message: string }
  /** Too many wrong logins came from this address. */
  | { readonly kind: 'slow-down'; readonly retryAfterMs: number }

/** Decides who may do what. */
export interface AccessControl {
  /**
   * Decides about all wishes of one request together: it is allowed when every one of them is. An empty list asks only
   * whether the client is known, as for `/v2/`. Never rejects because of what the client sends.
   */
  decide(caller: Caller, wishes: readonly Wish[]): Promise<Decision>
  /** Gives those of `repositories` that the client may list. */
  filterListable(caller: Caller, repositories: readonly Repository[]): Promise<readonly Repository[]>
}
