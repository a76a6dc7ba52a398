import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino'
import { type Repository, repositoryKey } from '../oci/names/repository.ts'
import { subscribe } from './events.ts'
import { scrub } from './redact.ts'
import { summarizeRejections } from './rejections.ts'

export interface LogOptions {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'
  /** Default: stderr. */
  readonly to?: DestinationStream
}

export interface Log {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void
  /** Stops listening and writes what is still in memory. */
  close(): void
}

/** Whoever reads stderr may be slow or gone; what it cannot take is dropped, and the agent goes on. */
const MOST_PENDING_BYTES = 4 * 1024 * 1024
/** Names of fields that are never meant to be logged, should one ever be. */
const NEVER = ['password', 'authorization', 'token', 'secret', 'cookie', 'headers', 'credentials']

/** Writes what is published as lines of JSON, from now on until `close`. */
export function startLog({ level, to }: LogOptions): Log {
  const stream = to ?? destination({ dest: 2, sync: false, minLength: 0, maxLength: MOST_PENDING_BYTES })
  const logger = pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      messageKey: 'message',
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: NEVER.flatMap((name) => [name, `*.${name}`]), censor: '***' },
    },
    stream,
  )
  const subscriptions = listen(logger)
  return {
    info: (message, fields = {}) => logger.info(fields, scrub(message)),
    warn: (message, fields = {}) => logger.warn(fields, scrub(message)),
    close() {
      for (const end of subscriptions) end()
      if ('flushSync' in stream && typeof stream.flushSync === 'function')
        flush(stream.flushSync.bind(stream))
    },
  }
}

function listen(logger: Logger): readonly (() => void)[] {
  return [...listenToTransfers(logger), ...listenToPeers(logger), ...listenToTroubles(logger)]
}

function listenToPeers(logger: Logger): readonly (() => void)[] {
  return [
    subscribe('peer.joined', (fact) => logger.info(fact, 'peer joined')),
    subscribe('peer.left', (fact) => logger.info(fact, 'peer left')),
    subscribe('peer.served', ({ error, ...rest }) =>
      logger.debug({ ...rest, error: told(error) }, 'served to peer'),
    ),
    subscribe('peer.taken', ({ error, ...rest }) =>
      logger.debug({ ...rest, error: told(error) }, 'taken from peer'),
    ),
    subscribe('peer.guided', (fact) => logger.debug(fact, 'told by owner')),
  ]
}

function listenToTransfers(logger: Logger): readonly (() => void)[] {
  return [
    subscribe('request.ended', (fact) => {
      if (!logger.isLevelEnabled('debug')) return
      const { repository, error, ...rest } = fact
      logger.debug({ ...rest, repository: named(repository), error: scrubbed(error) }, 'request')
    }),
    subscribe('flight.started', ({ repository, ...rest }) => {
      logger.debug({ ...rest, repository: named(repository) }, 'flight started')
    }),
    subscribe('flight.attempted', ({ error, ...rest }) => {
      // That a peer failed is an everyday thing, and told of each by itself.
      const level = error === undefined || rest.sourceKind === 'peer' ? 'debug' : 'info'
      logger[level]({ ...rest, error: told(error) }, error === undefined ? 'source done' : 'source failed')
    }),
    subscribe('flight.ended', ({ repository, error, obstacle, ...rest }) => {
      const names = { repository: named(repository), obstacle: scrubbed(obstacle) }
      const fields = { ...rest, ...names, error: told(error) }
      if (rest.kept) logger.info(fields, 'stored')
      else if (error === undefined) logger.warn(fields, 'passed through, not kept')
      else logger.warn(fields, 'not fetched')
    }),
    subscribe('upstream.answered', (fact) => logger.debug(fact, 'upstream')),
    subscribe('upstream.quota', (fact) => logger.debug(fact, 'upstream quota')),
    subscribe('upstream.limited', (fact) => logger.warn(fact, 'upstream asks for a rest')),
    subscribe('tag.revalidated', ({ repository, ...rest }) => {
      const level = rest.outcome === 'stale-if-error' ? 'warn' : 'debug'
      logger[level]({ ...rest, repository: named(repository) }, 'tag')
    }),
    subscribe('warm.ended', ({ error, ...rest }) => {
      if (error === undefined) logger.info(rest, 'warmed')
      else logger.warn({ ...rest, error: scrub(error) }, 'not warmed')
    }),
    subscribe('store.committed', (fact) => logger.trace(fact, 'committed')),
  ]
}

function listenToTroubles(logger: Logger): readonly (() => void)[] {
  return [
    subscribe('upstream.circuit', ({ host, open, reason }) => {
      const fields = { host, reason: scrub(reason) }
      if (open) logger.warn(fields, 'upstream is left alone for a while')
      else logger.info(fields, 'upstream is asked again')
    }),
    summarizeRejections((reasons) => logger.warn({ reasons }, 'clients were refused or cut off')),
    subscribe('verify.failed', (fact) => logger.warn(fact, 'content is not what its digest says')),
    subscribe('store.mended', (fact) => logger.warn(fact, 'the damaged index of the store was mended')),
    subscribe('store.recovered', (fact) => {
      const { adopted, dropped } = fact
      if (adopted + dropped > 0) logger.warn(fact, 'store put in order after an unclean end')
      else logger.info(fact, 'store opened')
    }),
  ]
}

function named(repository: Repository | undefined): string | undefined {
  return repository === undefined ? undefined : repositoryKey(repository)
}

function scrubbed(text: string | undefined): string | undefined {
  return text === undefined ? undefined : scrub(text)
}

/** An error's own words and those of its causes, and nothing else of it: it may carry headers, options, a socket. */
function told(error: Error | undefined): string | undefined {
  const words: string[] = []
  let next: unknown = error
  while (next instanceof Error && words.length < 4) {
    words.push(next.message)
    next = next.cause
  }
  return words.length === 0 ? undefined : scrub(words.join(': '))
}

function flush(flushSync: () => void): void {
  try {
    flushSync()
  } catch {
    // Nobody reads stderr any more, and there is nowhere else to say so.
  }
}
