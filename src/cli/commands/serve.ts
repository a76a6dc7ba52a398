import { type Agent, createAgent } from '../../agent.ts'
import { readSettingsFile } from '../../config/given-settings.ts'
import { loadSettings, type SettingSources, whereNamed } from '../../config/load.ts'
import type { Settings } from '../../config/schema.ts'
import { formatAddress, type SocketAddress } from '../../config/values/address.ts'
import { whenAborted } from '../../lib/async/abort.ts'
import { Watchdog } from '../../lib/watchdog/watchdog.ts'
import { FileProblem } from '../../lib/watched-file.ts'
import { startLog } from '../../observe/log/log.ts'
import { Failure } from '../../ports/failure.ts'
import { agentOptions } from '../context/agent-options.ts'
import { type Command, CommandError } from '../context/command.ts'
import { withRegistryVariables } from '../context/docker-mode.ts'
import { withPortVariable } from '../context/redirect-mode.ts'
import { allSettingFlags, givenSettings } from '../context/settings.ts'
import { announce } from '../serve/announce.ts'
import { type LogFormat, logFormat } from '../serve/log-format.ts'
import { SettingsReload } from '../serve/settings-reload.ts'

/** `agent serve`: runs until SIGINT or SIGTERM. */
export const serve: Command = {
  positionals: [],
  flags: allSettingFlags(),
  examples: [
    { line: 'agent serve', what: 'serve on 127.0.0.1:5050 and store images in ./.leat' },
    { line: 'agent serve --data /var/lib/leat --max-bytes 50GiB', what: 'as a service, with a size limit' },
    { line: 'agent serve --config leat.yaml', what: 'with the upstreams of a configuration file' },
    {
      line: 'agent serve --docker --listen 0.0.0.0:5050',
      what: 'the images of Docker, for a kind or k3d cluster',
    },
    { line: 'LEAT_LOG_LEVEL=debug agent serve', what: 'every flag can also be given as a variable' },
  ],
  async run(given, terminal) {
    const stopped = terminal.stopped()
    const sources = withPortVariable(withRegistryVariables(givenSettings(given, terminal)))
    const settings = await loadSettings(sources)
    const hasFile = ((await readSettingsFile(sources))?.size ?? 0) > 0
    const format = logFormat(settings, terminal)
    const log = startLog({ level: settings.logLevel, ...format })
    let watchdog: Watchdog | undefined
    const agent = createAgent(agentOptions(settings, terminal))
    const reload = new SettingsReload({ agent, settings, hasFile, sources, log, terminal })
    // SIGHUP ends a process that does not listen to it.
    terminal.onHangup?.(() => reload.reload())
    try {
      const starting = start(agent, settings, sources)
      // A start may take long, on a slow disk or after a crash; a signal ends the agent without waiting for it.
      await Promise.race([starting, whenAborted(stopped)])
      if (!stopped.aborted) {
        await announce(agent, settings, log, terminal)
        watchdog = new Watchdog({
          lastLine: hangsLine(format),
          onDied: ({ message }) =>
            log.warn('the watchdog has died: nothing ends an agent that hangs', { error: message }),
        })
        reload.start()
        await whenAborted(stopped)
      }
      await reload.close()
      const drainMs = reload.settings.drainTimeout
      log.info('stopping', { drainMs })
      await agent.stop({ drainMs })
      log.info('stopped')
      return 0
    } finally {
      await watchdog?.stop()
      log.close()
    }
  },
}

/** What the watchdog writes to stderr before it ends the agent, as the other lines of the log are written. */
function hangsLine({ format }: Pick<LogFormat, 'format'>): string {
  const message =
    'the main thread has not moved for 5 s: the agent ends itself, so that clients go to the registry'
  return format === 'json' ? `${JSON.stringify({ level: 'fatal', message })}\n` : `agent: ${message}\n`
}

async function start(agent: Agent, settings: Settings, sources: SettingSources): Promise<void> {
  try {
    await agent.start()
  } catch (cause) {
    const problem = fileProblemIn(cause)
    if (problem === undefined) throw startError(cause, settings)
    const where = await whereNamed(problem.file, sources)
    throw new CommandError(`${where === undefined ? '' : `${where}: `}${problem.message}`, { cause })
  }
}

/** A file that the settings name and that cannot be used is the reason of the failure. */
function fileProblemIn(error: unknown): FileProblem | undefined {
  if (error instanceof FileProblem) return error
  return error instanceof Error && error.cause instanceof FileProblem ? error.cause : undefined
}

/** Turns a failure to start that the user can solve into a `CommandError`. */
function startError(cause: unknown, settings: Settings): unknown {
  if (cause instanceof Failure) return new CommandError(cause.message, { cause })
  if (!(cause instanceof Error)) return cause
  const { code, port, path } = cause as NodeJS.ErrnoException & { port?: number }
  const [flag, address] = listenerOf(port, settings)
  const where = formatAddress(address)
  switch (code) {
    case 'EADDRINUSE':
      return new CommandError(
        `${where} is already in use, perhaps by another agent; stop that one, or choose another address with ${flag}`,
        { cause },
      )
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new CommandError(
        `${where} is not an address of this machine; choose another address with ${flag}`,
        {
          cause,
        },
      )
    case 'EACCES':
    case 'EPERM':
    case 'ENOENT':
    case 'ENOTDIR':
    case 'EROFS':
    case 'ENOSPC':
      return new CommandError(
        path === undefined
          ? `this user may not listen on ${where}; choose a port above 1023 with ${flag}`
          : `${path} cannot be used (${code}); check that the user of the agent has access to it`,
        { cause },
      )
    default:
      return cause
  }
}

/** The listener that uses this port: the error of the operating system names only the port. */
function listenerOf(
  port: number | undefined,
  { listen, admin, peerListen, peersSecretFile }: Settings,
): readonly [flag: string, address: SocketAddress] {
  if (port === admin.port) return ['--admin', admin]
  if (port === peerListen.port && peersSecretFile !== undefined) return ['--peer-listen', peerListen]
  return ['--listen', listen]
}
