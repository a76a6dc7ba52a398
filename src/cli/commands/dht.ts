import { formatAddress, parseAddress, type SocketAddress } from '../../config/values/address.ts'
import { whenAborted } from '../../lib/async/abort.ts'
import { startBootstrapNode } from '../../peers/dht/bootstrap.ts'
import { Failure } from '../../ports/failure.ts'
import { type Command, CommandError, type Invocation, usageError } from '../context/command.ts'

const DEFAULT_ADDRESS: SocketAddress = { host: '0.0.0.0', port: 49_737 }

/** `agent dht`: runs until SIGINT or SIGTERM. */
export const dht: Command = {
  positionals: [],
  flags: [
    {
      name: 'listen',
      kind: 'text',
      help: 'UDP address to listen on (IPv4)',
      defaultText: formatAddress(DEFAULT_ADDRESS),
    },
    {
      name: 'advertise',
      kind: 'text',
      help: 'host at which agents reach this node',
      defaultText: 'the first address of this machine',
    },
    {
      name: 'bootstrap',
      kind: 'list',
      help: 'another bootstrap node of the same DHT, host:port; may be given several times',
      defaultText: undefined,
    },
  ],
  examples: [
    { line: 'agent dht', what: 'run a node that agents use with --bootstrap HOST:49737' },
    { line: 'agent dht --listen 10.0.0.1:49800', what: 'listen on another address' },
    {
      line: 'agent dht --bootstrap leat-dht-0:49737',
      what: 'run a second node, so that one of them may fail',
    },
  ],
  async run(given, terminal) {
    const stopped = terminal.stopped()
    const { advertise } = given.values
    const bootstrap = await start({
      listen: listenOf(given),
      advertise: typeof advertise === 'string' ? advertise : undefined,
      bootstrap: bootstrapOf(given),
    })
    try {
      await terminal.err(`DHT bootstrap node listening on ${formatAddress(bootstrap.address)} (UDP)\n`)
      await whenAborted(stopped)
      return 0
    } finally {
      await bootstrap.stop()
    }
  },
}

async function start(
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
  return listen === undefined ? DEFAULT_ADDRESS : addressOf('listen', listen)
}

function bootstrapOf({ values }: Invocation): SocketAddress[] {
  const { bootstrap = [] } = values
  return [bootstrap].flat().map((text) => addressOf('bootstrap', text))
}

function addressOf(flag: string, text: string | readonly string[]): SocketAddress {
  const address = typeof text === 'string' ? parseAddress(text) : undefined
  if (address !== undefined) return address
  throw usageError(`--${flag} is ${JSON.stringify(text)}; expected host:port, such as 0.0.0.0:49737`)
}
