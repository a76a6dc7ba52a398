/** Types of the parts that this project uses of two packages that come without types. */

declare module 'hyperdht' {
  import type { KeyPair, NoiseStream } from 'hyperswarm'

  export interface NodeOptions {
    host?: string
    /** A range of ports, without its end; `[0, 0]` is any free port. */
    port?: number | [from: number, to: number]
    /** Tries another port if this one is taken. */
    anyPort?: boolean
    bootstrap?: { host: string; port: number }[]
    ephemeral?: boolean
    firewalled?: boolean
    connectionKeepAlive?: number
    /** The timeout of a request: adapted to measured round trips, or `fallback` per attempt before there are any. */
    adaptiveTimeout?: { min: number; max: number; jitter: number; fallback: number[] }
  }

  class DHT {
    static BOOTSTRAP: string[]
    static keyPair(seed?: Buffer): KeyPair
    /** Creates a node that is told its own external address instead of learning it from others. */
    static bootstrapper(port: number, host: string, options?: NodeOptions): DHT
    constructor(options?: NodeOptions)
    readonly bootstrapNodes: readonly { host: string; port: number }[]
    /** The address at which others see this node; null until one of them has reported it. */
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

  // biome-ignore lint/style/noDefaultExport: the package exports it so
  export { DHT as default }
}

declare module 'hyperswarm' {
  import type { Duplex } from 'node:stream'
  import type DHT from 'hyperdht'

  export interface KeyPair {
    publicKey: Buffer
    secretKey: Buffer
  }

  /** Preserves message boundaries: each `data` event is one `write` of the other end. */
  export interface NoiseStream extends Duplex {
    readonly isInitiator: boolean
    readonly publicKey: Buffer
    readonly remotePublicKey: Buffer
    readonly handshakeHash: Buffer
    setKeepAlive(ms: number): void
    /** Destroys the stream when nothing was received for this time. */
    setTimeout(ms: number): void
    /** Resolves when the other end has received everything that was written. */
    flush(): Promise<boolean>
  }

  export interface Discovery {
    refresh(options?: { client?: boolean; server?: boolean }): Promise<boolean>
  }

  class Hyperswarm {
    constructor(options: { keyPair: KeyPair; dht: DHT; maxPeers: number })
    on(event: 'connection', listener: (stream: NoiseStream) => void): this
    /** Dials the peer without looking it up, and again after each disconnect until `leavePeer`. */
    joinPeer(publicKey: Buffer): void
    leavePeer(publicKey: Buffer): void
    join(topic: Buffer, options?: { client?: boolean; server?: boolean }): Discovery
    destroy(options?: { force?: boolean }): Promise<void>
  }

  // biome-ignore lint/style/noDefaultExport: the package exports it so
  export { Hyperswarm as default }
}
