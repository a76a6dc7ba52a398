import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino'
import { type Repository, repositoryKey } from '../../oci/names/repository.ts'
import { subscribe } from '../events.ts'
import { redact } from '../redact.ts'
import { reportFailedPulls } from './failed-pulls.ts'
import { whenNothingIsPulled } from './no-pulls.ts'
import { prettyLine } from './pretty.ts'
import { summarizeRejections } from './rejections.ts'
import { Repeats } from './repeats.ts'
import { logWebhooks } from './webhook-lines.ts'

export interface LogOptions {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'
  /** `pretty`: lines for people. Default: JSON. */
  readonly format?: 'json' | 'pretty'
  /** Whether lines for people have colors. */
  readonly hasColor?: boolean
  /** Default: stderr. */
  readonly stream?: DestinationStream
}

export interface Log {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void
  setLevel(level: LogOptions['level']): void
  /** Ends the subscriptions and writes the lines that are still in memory. */
  close(): void
}

/** The reader of stderr may be slow or gone. Lines beyond this buffer are dropped, so that the agent never waits for it. */
const MAX_PENDING_BYTES = 4 * 1024 * 1024
/** No code logs these fields on purpose. pino censors them in case one does by mistake. */
const CENSORED_FIELDS = ['password', 'authorization', 'token', 'secret', 'cookie', 'headers', 'credentials']

/** A chain of causes longer than this adds nothing that helps. */
const MAX_CAUSES = 4

/** Writes the published events as lines until `close`. */
export function startLog({ level, format = 'json', hasColor = false, stream: given }: LogOptions): Log {
  const stream = given ?? destination({ dest: 2, sync: false, minLength: 0, maxLength: MAX_PENDING_BYTES })
  const pretty = { write: (line: string) => stream.write(prettyLine(line, { hasColor })) }
  const logger = pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      messageKey: 'message',
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: CENSORED_FIELDS.flatMap((name) => [name, `*.${name}`]), censor: '***' },
    },
    format === 'pretty' ? pretty : stream,
  )
  const subscriptions = [
    ...logTransfers(logger),
    ...logPeers(logger),
    ...logProblems(logger),
    logWebhooks(logger),
    reportFailedPulls((pull, times) => {
      logger[pull.status === 404 ? 'info' : 'warn']({ ...pull, times }, 'pull failed')
    }),
    ...logStaleTags(logger),
    ...logFailedBuckets(logger),
    whenNothingIsPulled(() =>
      logger.warn(
        'no client has asked for an image in the hour since the start: if pods have started on this node, its runtime does not ask this agent; agent doctor says why',
      ),
    ),
  ]
  return {
    info: (message, fields = {}) => logger.info(fields, redact(message)),
    warn: (message, fields = {}) => logger.warn(fields, redact(message)),
    setLevel(level) {
      logger.level = level
    },
    close() {
      for (const unsubscribe of subscriptions) unsubscribe()
      if ('flushSync' in stream && typeof stream.flushSync === 'function')
        flush(stream.flushSync.bind(stream))
    },
  }
}

function logPeers(logger: Logger): readonly (() => void)[] {
  return [
    subscribe('peer.joined', ({ understood, ...event }) => {
      if (understood) logger.info(event, 'peer joined')
      else logger.warn(event, 'peer joined whose version uses another peer protocol: it is not asked')
    }),
    subscribe('peer.left', (event) => logger.info(event, 'peer left')),
    subscribe('peer.served', ({ error, repository, ...rest }) =>
      logger.debug(
        { ...rest, repository: repositoryText(repository), error: errorText(error) },
        'sent to peer',
      ),
    ),
    subscribe('peer.taken', ({ error, ...rest }) =>
      logger.debug({ ...rest, error: errorText(error) }, 'received from peer'),
    ),
    subscribe('peer.instructed', (event) => logger.debug(event, 'instruction of the owner')),
  ]
}

function logTransfers(logger: Logger): readonly (() => void)[] {
  return [
    subscribe('request.ended', (event) => {
      if (!logger.isLevelEnabled('debug')) return
      const { repository, error, client: _client, ...rest } = event
      logger.debug(
        { ...rest, repository: repositoryText(repository), error: redactOptional(error) },
        'request',
      )
    }),
    subscribe('flight.started', ({ repository, ...rest }) => {
      logger.debug({ ...rest, repository: repositoryText(repository) }, 'flight started')
    }),
    subscribe('flight.attempted', ({ error, ...rest }) => {
      // Failures of peers are frequent, and `peer.taken` logs each of them.
      const level = error === undefined || rest.sourceKind === 'peer' ? 'debug' : 'info'
      logger[level](
        { ...rest, error: errorText(error) },
        error === undefined ? 'source finished' : 'source failed',
      )
    }),
    subscribe('flight.ended', ({ repository, error, passThroughReason, ...rest }) => {
      const fields = {
        ...rest,
        repository: repositoryText(repository),
        passThroughReason: redactOptional(passThroughReason),
        error: errorText(error),
      }
      if (rest.isStored) logger.info(fields, 'stored')
      else if (error === undefined) logger.warn(fields, 'passed through to clients without being stored')
      else logger.warn(fields, 'fetch failed')
    }),
    subscribe('upstream.answered', (event) => logger.debug(event, 'upstream request')),
    subscribe('upstream.quota', (event) => logger.debug(event, 'upstream quota')),
    subscribe('upstream.limited', (event) => logger.warn(event, 'upstream rate limit reached')),
    subscribe('redirect.answered', ({ repository, ...rest }) =>
      logger.debug({ ...rest, repository: repositoryText(repository) }, 'redirected'),
    ),
    subscribe('tag.revalidated', ({ repository, ...rest }) =>
      logger.debug({ ...rest, repository: repositoryText(repository) }, 'tag revalidated'),
    ),
    subscribe('warm.ended', ({ error, ...rest }) => {
      if (error === undefined) logger.info(rest, 'warmed')
      else logger.warn({ ...rest, error: redact(error) }, 'warming failed')
    }),
    subscribe('copy.ended', ({ error, ...rest }) => {
      if (error === undefined) logger.info(rest, 'copied into a bucket')
      else logger.warn({ ...rest, error: redact(error) }, 'copying into a bucket failed')
    }),
    subscribe('copies.failing', ({ problem, ...rest }) => {
      if (problem === undefined) logger.info(rest, 'the copies in a bucket are kept up again')
      else
        logger.warn(
          { ...rest, problem: redact(problem) },
          'the copies in a bucket cannot be kept up; it is tried again',
        )
    }),
    subscribe('copy.dropped', (event) => logger.info(event, 'removed a tag from a bucket: nobody pulls it')),
    subscribe('object-store.uploaded', (event) => logger.debug(event, 'uploaded to the object store')),
    subscribe('store.committed', (event) => logger.trace(event, 'committed')),
  ]
}

/** A tag that upstream cannot confirm is asked for again and again; each is logged once in a minute. */
function logStaleTags(logger: Logger): readonly (() => void)[] {
  const stale = new Repeats<{ image: string }>((facts, times) =>
    logger.warn({ ...facts, times }, 'serving a stale tag, because upstream cannot be reached'),
  )
  return [
    subscribe('tag.revalidated', ({ repository, tag, outcome }) => {
      const image = `${repositoryKey(repository)}:${tag}`
      if (outcome === 'stale-if-error') stale.add(image, { image })
    }),
    () => stale.close(),
  ]
}

/** A bucket that is down is asked again and again; it is logged once in a minute. */
function logFailedBuckets(logger: Logger): readonly (() => void)[] {
  const failed = new Repeats<{ bucket: string; problem: string | undefined }>((facts, times) =>
    logger.warn({ ...facts, times }, 'a bucket cannot be asked: clients are not sent to it'),
  )
  return [
    subscribe('redirect.looked-up', ({ bucket, outcome, problem }) => {
      if (outcome === 'failed') failed.add(bucket, { bucket, problem: redactOptional(problem) })
    }),
    () => failed.close(),
  ]
}

function logProblems(logger: Logger): readonly (() => void)[] {
  return [
    subscribe('upstream.circuit', ({ host, open, reason }) => {
      const fields = { host, reason: redact(reason) }
      if (open) logger.warn(fields, 'circuit breaker opened: upstream is not asked for a while')
      else logger.info(fields, 'circuit breaker closed: upstream is asked again')
    }),
    subscribe('object-store.paused', ({ bucket, isPaused, reason }) => {
      const fields = { bucket, reason: redact(reason) }
      if (isPaused)
        logger.warn(fields, 'the object store is not asked for a while: content comes from upstream')
      else logger.info(fields, 'the object store is asked again')
    }),
    subscribe('object-store.uploads-failing', ({ bucket, problem }) => {
      if (problem === undefined) logger.info({ bucket }, 'uploads to the object store succeed again')
      else
        logger.warn(
          { bucket, problem: redact(problem) },
          'uploads to the object store fail, and are tried again',
        )
    }),
    subscribe('source.failed', ({ source, error }) =>
      logger.warn({ source, error: errorText(error) }, 'a local source cannot be read'),
    ),
    subscribe('source.hidden', (event) =>
      logger.warn(
        event,
        'an image of a local source is not served: an earlier source has another one of this name',
      ),
    ),
    subscribe('access.slowed', (event) =>
      logger.warn(event, 'too many wrong logins: the address has to wait'),
    ),
    summarizeRejections((reasons) => logger.warn({ reasons }, 'clients were refused or disconnected')),
    subscribe('hosted.collected', ({ error, ...totals }) => {
      if (error === undefined) logger.info(totals, 'garbage of hosted repositories was collected')
      else logger.warn({ error: redact(error) }, 'garbage of hosted repositories cannot be collected')
    }),
    subscribe('hosted.lost', ({ digest, repositories }) =>
      logger.error(
        { digest, repositories: repositories.map(repositoryKey) },
        'hosted content is lost: push it again',
      ),
    ),
    subscribe('file.checked', ({ file, problem }) => {
      if (problem === undefined) logger.info({ file }, 'a file of the settings can be used again')
      else logger.warn({ file, problem }, 'a file of the settings cannot be used; its last good content is')
    }),
    subscribe('settings.reloaded', ({ changed, needRestart }) => {
      if (changed.length > 0) logger.info({ changed }, 'settings were reloaded')
      if (needRestart.length > 0) logger.warn({ needRestart }, 'settings have changed that need a restart')
    }),
    subscribe('verify.failed', (event) => logger.warn(event, 'content does not match its digest')),
    subscribe('store.journalFailed', (event) =>
      logger.warn(event, 'the journal of hosted images could not be written; it is tried again'),
    ),
    subscribe('store.repaired', (event) => logger.warn(event, 'the damaged store index was repaired')),
    subscribe('store.recovered', (event) => {
      const { adopted, dropped } = event
      if (adopted + dropped > 0) logger.warn(event, 'store recovered after an unclean shutdown')
      else logger.info(event, 'store opened')
    }),
  ]
}

function repositoryText(repository: Repository | undefined): string | undefined {
  return repository === undefined ? undefined : repositoryKey(repository)
}

function redactOptional(text: string | undefined): string | undefined {
  return text === undefined ? undefined : redact(text)
}

/** Joins the messages of an error and of its causes. Other properties are not logged: they may hold headers or credentials. */
function errorText(error: Error | undefined): string | undefined {
  const messages: string[] = []
  let next: unknown = error
  while (next instanceof Error && messages.length < MAX_CAUSES) {
    messages.push(next.message)
    next = next.cause
  }
  return messages.length === 0 ? undefined : redact(messages.join(': '))
}

function flush(flushSync: () => void): void {
  try {
    flushSync()
  } catch {
    // The reader of stderr is gone, and nothing else could report that.
  }
}
