/** Of two packages that come without types: what is used of them here. */

declare module 'hyperdht' {
  import type { KeyPair, NoiseStream } from 'hyperswarm'

  export interface NodeOptions {
    host?: string
    /** From the first one up to, but not including, the second one; `[0, 0]` is any. */
    port?: number | [from: number, to: number]
    /** Tries another port when that one is taken. */
    anyPort?: boolean
    bootstrap?: { host: string; port: number }[]
    ephemeral?: boolean
    firewalled?: boolean
    connectionKeepAlive?: number
    /** How long an answer is waited for: by what was measured, or by how often it was asked. */
    adaptiveTimeout?: { min: number; max: number; jitter: number; fallback: number[] }
  }

  class DHT {
    static BOOTSTRAP: string[]
    static keyPair(seed?: Buffer): KeyPair
    /** A node that knows from the start under which address it is seen. */
    static bootstrapper(port: number, host: string, options?: NodeOptions): DHT
    constructor(options?: NodeOptions)
    readonly bootstrapNodes: readonly { host: string; port: number }[]
    /** Where others see it, once one has told. */
    readonly host: string | null
    once(event: 'nat-update', listener: () => void): this
    bind(): Promise<void>
    fullyBootstrapped(): Promise<void>
    connect(publicKey: Buffer): NoiseStream
    lookup(
      topic: Buffer,
      options: { nodes: { host: string; port: number }[] },
    ): AsyncIterable<{ peers: { publicKey: Buffer }[] }>
    address(): { host: string; port: number } | null
    destroy(options?: { force?: boolean }): Promise<void>
  }

  // biome-ignore lint/style/noDefaultExport: so it is published
  export { DHT as default }
}

declare module 'hyperswarm' {
  import type { Duplex } from 'node:stream'
  import type DHT from 'hyperdht'

  export interface KeyPair {
    publicKey: Buffer
    secretKey: Buffer
  }

  /** Keeps the borders of what is written: each `data` is one `write`. */
  export interface NoiseStream extends Duplex {
    readonly isInitiator: boolean
    readonly publicKey: Buffer
    readonly remotePublicKey: Buffer
    readonly handshakeHash: Buffer
    setKeepAlive(ms: number): void
    /** Destroyed when nothing has come for so long. */
    setTimeout(ms: number): void
    /** Resolves when all that was written has arrived. */
    flush(): Promise<boolean>
  }

  export interface Discovery {
    refresh(options?: { client?: boolean; server?: boolean }): Promise<boolean>
  }

  class Hyperswarm {
    constructor(options: { keyPair: KeyPair; dht: DHT; maxPeers: number })
    on(event: 'connection', listener: (stream: NoiseStream) => void): this
    /** Dials it even when it was found in another way; until `leavePeer` over and over. */
    joinPeer(publicKey: Buffer): void
    leavePeer(publicKey: Buffer): void
    join(topic: Buffer, options?: { client?: boolean; server?: boolean }): Discovery
    destroy(options?: { force?: boolean }): Promise<void>
  }

  // biome-ignore lint/style/noDefaultExport: so it is published
  export { Hyperswarm as default }
}
