import { formatAddress, parseAddress, type SocketAddress } from '../../config/values/address.ts'
import { whenAborted } from '../../lib/async/abort.ts'
import { startBootstrapNode } from '../../peers/dht/bootstrap.ts'
import { Failure } from '../../ports/failure.ts'
import { type Command, CommandError, type Invocation } from '../context/command.ts'

const USUAL: SocketAddress = { host: '0.0.0.0', port: 49_737 }

/** `agent dht`: runs until it is asked to end. */
export const dht: Command = {
  words: [],
  flags: [
    {
      name: 'listen',
      kind: 'text',
      help: 'UDP address, IPv4',
      shown: formatAddress(USUAL),
    },
    {
      name: 'advertise',
      kind: 'text',
      help: 'host at which agents reach it',
      shown: 'the first address of this machine',
    },
    {
      name: 'bootstrap',
      kind: 'list',
      help: 'another node of the same DHT, host:port, so that one of them may fail; may be given several times',
      shown: undefined,
    },
  ],
  examples: [
    { line: 'agent dht', what: 'agents then find each other with --bootstrap HOST:49737' },
    { line: 'agent dht --listen 10.0.0.1:49800', what: 'on another address' },
    { line: 'agent dht --bootstrap leat-dht-0:49737', what: 'a second one' },
  ],
  async run(given, terminal) {
    const stopped = terminal.stopped()
    const { advertise } = given.values
    const bootstrap = await started({
      listen: listenOf(given),
      advertise: typeof advertise === 'string' ? advertise : undefined,
      bootstrap: bootstrapOf(given),
    })
    try {
      await terminal.err(`the DHT is served at ${formatAddress(bootstrap.address)} (UDP)\n`)
      await whenAborted(stopped)
      return 0
    } finally {
      await bootstrap.stop()
    }
  },
}

async function started(
  options: Parameters<typeof startBootstrapNode>[0],
): ReturnType<typeof startBootstrapNode> {
  try {
    return await startBootstrapNode(options)
  } catch (cause) {
    if (cause instanceof Failure) throw new CommandError(cause.message, { cause })
    throw cause
  }
}

function listenOf({ values }: Invocation): SocketAddress {
  const { listen } = values
  return listen === undefined ? USUAL : addressOf('listen', listen)
}

function bootstrapOf({ values }: Invocation): SocketAddress[] {
  const { bootstrap = [] } = values
  return [bootstrap].flat().map((text) => addressOf('bootstrap', text))
}

function addressOf(flag: string, text: string | readonly string[]): SocketAddress {
  const address = typeof text === 'string' ? parseAddress(text) : undefined
  if (address !== undefined) return address
  throw new CommandError(`--${flag} is ${JSON.stringify(text)}; expected host:port, such as 0.0.0.0:49737`, {
    exitCode: 2,
  })
}
