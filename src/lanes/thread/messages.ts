import type { LookupAddress } from 'node:dns'
import type { Algorithm } from '../../oci/digest.ts'

/** What a lane is started with. */
export interface LaneData {
  readonly memory: SharedArrayBuffer
}

/** Commands about files. `file` numbers the open files of the lane, which obeys commands for a file in order. */
export type FileCommand =
  /** The main thread stays the owner of `fd`. Without `fd`, bytes are only hashed. */
  | {
      readonly do: 'open'
      readonly file: number
      readonly fd: number | undefined
      readonly algorithm: Algorithm
    }
  /** Reads and hashes the next bytes, which are in the file already. */
  | { readonly do: 'hash'; readonly file: number; readonly length: number }
  /** Hashes and appends a piece of the shared memory. */
  | { readonly do: 'write'; readonly file: number; readonly offset: number; readonly length: number }
  /** From now on bytes are only hashed. The thread answers with `full`, unless the file is full already. */
  | { readonly do: 'hashOnly'; readonly file: number }
  | { readonly do: 'digest'; readonly file: number }
  /** The thread answers with `ended`, and no longer touches `fd` after that. */
  | { readonly do: 'end'; readonly file: number }

/** How a lane proves who it is, and whom it believes, on the connections with these settings. */
export interface LaneTls {
  /** The authorities, in PEM; undefined for those of the system. */
  readonly ca: readonly string[] | undefined
  readonly rejectUnauthorized: boolean
  /**
   * What the lane presents, in PEM. With it, the names in the server's certificate mean nothing: the main thread looks at the
   * certificate that `connected` reports before it sends a request.
   */
  readonly own?: { readonly key: string; readonly cert: string } | undefined
}

/** A server, with the addresses that its name was resolved to and that may be used. */
export interface LaneTarget {
  readonly host: string
  readonly port: number
  readonly addresses: readonly LookupAddress[]
  /** The number of the TLS settings, which the lane was told before; undefined: without TLS. */
  readonly tls: number | undefined
  /** A TLS session of an earlier connection, which this one may resume. */
  readonly session?: Uint8Array | undefined
}

/** The other end of a TLS connection to which the lane has presented a certificate of its own. */
export interface TlsServerFacts {
  readonly alpn: string | false
  /** A resumed handshake shows no certificate: the server has the one of the earlier connection. */
  readonly isResumed: boolean
  /** In DER. */
  readonly certificate: Uint8Array | undefined
}

/** Commands about connections. `connection` numbers those of the lane. */
export type ConnectionCommand =
  | { readonly do: 'tls'; readonly tls: number; readonly settings: LaneTls }
  | { readonly do: 'connect'; readonly connection: number; readonly target: LaneTarget }
  /** Sends the head of a request. The lane answers with `head`. */
  | { readonly do: 'request'; readonly connection: number; readonly head: string }
  /** Reads the body, without its first `skip` bytes, into these pieces of shared memory and those that are lent later. */
  | {
      readonly do: 'read'
      readonly connection: number
      readonly skip: number
      readonly memory: readonly Uint8Array[]
    }
  | { readonly do: 'lend'; readonly connection: number; readonly memory: readonly Uint8Array[] }
  | { readonly do: 'discard'; readonly connection: number }
  /** The lane answers with `closed`, and no longer touches the lent memory after that. */
  | { readonly do: 'close'; readonly connection: number }

export type LaneCommand = FileCommand | ConnectionCommand

/** An error of a thread, without what cannot be posted. */
export interface PostedError {
  readonly code: string | undefined
  readonly message: string
}

export type FileReport =
  /** All bytes up to `position` are hashed, and are in the file as far as the file was not `full` before. */
  | {
      readonly is: 'written'
      readonly file: number
      readonly position: number
      /** Checkpoints since the previous report, one character for a byte: a string is the cheapest thing to post. */
      readonly checkpoints: string
    }
  /** The file has `position` bytes and gets no more: the thread no longer touches it. Sent before the next `written`. */
  | {
      readonly is: 'full'
      readonly file: number
      readonly position: number
      /** Undefined after the command `hashOnly`. */
      readonly error: PostedError | undefined
    }
  | { readonly is: 'digest'; readonly file: number; readonly hex: string }
  | ({ readonly is: 'failed'; readonly file: number } & PostedError)
  | { readonly is: 'ended'; readonly file: number }

export type ConnectionReport =
  | { readonly is: 'connected'; readonly connection: number; readonly server: TlsServerFacts | undefined }
  /** A TLS session that a later connection to the same server may resume. */
  | { readonly is: 'session'; readonly connection: number; readonly session: Uint8Array }
  | {
      readonly is: 'head'
      readonly connection: number
      readonly status: number
      readonly headers: readonly (readonly [string, string])[]
      readonly length: number | 'undeclared'
      readonly keepsAlive: boolean
      /** All of the body has come with its head. */
      readonly isBodyHere: boolean
    }
  /** The next `length` bytes of the lent memory hold the body now. */
  | { readonly is: 'filled'; readonly connection: number; readonly length: number }
  /** The body is complete; its last bytes were reported before. */
  | { readonly is: 'bodyRead'; readonly connection: number; readonly isReusable: boolean }
  | {
      readonly is: 'closed'
      readonly connection: number
      /** How many requests the lane has sent: the last ones may have crossed this report. */
      readonly requests: number
      /** Whether a byte has come since the last of them. */
      readonly hasReceived: boolean
      readonly error: PostedError
    }

/** Messages from a lane. */
export type LaneReport = FileReport | ConnectionReport
