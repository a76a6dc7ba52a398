import { readFile } from 'node:fs/promises'
import { errorCode } from '../../lib/error-code.ts'
import { plain, plural } from '../../observe/text.ts'
import { pingDht } from '../../peers/dht/ping.ts'
import { guessHost, type PeerOptions } from '../../peers/peer-options.ts'
import { openSwarmProbe, type SwarmProbe } from '../../peers/probe.ts'
import { Failure } from '../../ports/failure.ts'
import { type Finding, notLookedAt, ok, problem, warning } from '../tools/finding.ts'
import { type Address, parsed, written } from '../tools/node-settings.ts'
import type { AgentSeen } from './agent.ts'

const LISTEN: Address = { host: '0.0.0.0', port: 5052 }
const DHT_PORT = 49_737
const PROBE_MS = 4_000
const PING_MS = 5_000
/** A secret of hex digits made at random has more different characters than that. */
const FEW_CHARACTERS = 8
const FEW_NAMES = 5

/** What keeps agents from finding each other. */
export async function lookAtPeers(
  peers: PeerOptions | undefined,
  { agent, signal }: { agent: AgentSeen; signal: AbortSignal },
): Promise<readonly Finding[]> {
  if (peers === undefined) return withoutPeers(agent)
  const [secret, bootstrap] = await Promise.all([
    lookAtSecret(peers, { agent, signal }),
    lookAtBootstrap(peers.bootstrap ?? [], signal),
  ])
  return [...secret, ...bootstrap, ...judgeMembers(agent, peers)]
}

function withoutPeers(agent: AgentSeen): readonly Finding[] {
  const why = 'no secret of peers is given here (--peers-secret-file)'
  const peers = agent.kind === 'agent' ? agent.status.peers : undefined
  if (peers === undefined || peers === null) return [notLookedAt(`${why}, so the agent works alone`)]
  return [
    notLookedAt(
      `${why}, but the agent is one of a swarm, and sees ${plural(peers.count, 'peer')}`,
      'give the doctor the settings of the agent: the same flags, variables and --config',
    ),
  ]
}

async function lookAtSecret(
  peers: PeerOptions,
  { agent, signal }: { agent: AgentSeen; signal: AbortSignal },
): Promise<readonly Finding[]> {
  const { secretFile } = peers
  let swarmProbe: SwarmProbe
  try {
    swarmProbe = await openSwarmProbe(secretFile)
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return [unreadable(error)]
  }
  const address = advertised(agent, peers)
  const within = AbortSignal.any([signal, AbortSignal.timeout(PROBE_MS)])
  const answer = await swarmProbe.probe(address, { signal: within }).then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  )
  const isGuessed = peers.advertise === undefined
  return [
    judgeSecret(secretFile, swarmProbe.warning, isWeak(await readFile(secretFile, 'utf8'))),
    judgePort(address, answer, { isGuessed }),
  ]
}

/** As the agent tells its peers, or would. */
function advertised(agent: AgentSeen, { advertise, listen = LISTEN }: PeerOptions): Address {
  const told = agent.kind === 'agent' ? parsed(agent.status.peers?.self.address ?? null) : undefined
  return told ?? { host: advertise ?? guessHost(listen.host), port: listen.port }
}

function unreadable(failure: Failure): Finding {
  const { cause } = failure
  if (errorCode(cause) === 'EACCES') {
    return notLookedAt(
      'the file of the peers’ secret is closed to this user',
      'run it as root, or as the agent’s user',
    )
  }
  return problem(failure.message, {
    means: 'the agent does not start with it',
    todo: 'openssl rand -hex 32 makes a secret; the same file belongs on every node',
  })
}

function isWeak(text: string): boolean {
  const lines = text.split(/\r?\n/).map((line) => line.trim())
  return lines.some((line) => line !== '' && new Set(line).size < FEW_CHARACTERS)
}

function judgeSecret(path: string, complaint: string | undefined, weak: boolean): Finding {
  const todo =
    'a new secret (openssl rand -hex 32) goes into the first line, the old one stays in the second until all agents have it'
  if (weak) {
    return problem(`the secret in ${path} can be guessed`, {
      means: 'whoever guesses it is one of the peers, and reads what is cached',
      todo,
    })
  }
  if (complaint !== undefined) {
    return warning(complaint, {
      means: 'every user of this machine can be one of the peers, and read what is cached',
      todo: `chmod 640 ${path}, with the agent’s group; ${todo}`,
    })
  }
  return ok(`the secret in ${path} is long enough and closed to others`)
}

function judgePort(
  address: Address,
  answer: string | undefined,
  { isGuessed }: { isGuessed: boolean },
): Finding {
  const where = `${written(address)}${isGuessed ? ' (guessed: no --advertise)' : ''}`
  if (answer === undefined) return ok(`the agent answers its peers at ${where}`)
  return problem(`at ${where}, where peers ask this agent, ${answer}`, {
    means: 'peers take nothing from this node; it may still take from them',
    todo: `give --advertise an address of this node that others reach, let TCP ${address.port} through the firewall, and see that the agent runs with this secret`,
  })
}

async function lookAtBootstrap(nodes: readonly Address[], signal: AbortSignal): Promise<readonly Finding[]> {
  if (nodes.length === 0) return []
  const within = AbortSignal.any([signal, AbortSignal.timeout(PING_MS)])
  const answers = await pingDht(nodes, { signal: within })
  return judgeBootstrap(nodes.map((node, i) => ({ node: written(node), why: answers[i]?.message })))
}

function judgeBootstrap(
  nodes: readonly { readonly node: string; readonly why: string | undefined }[],
): readonly Finding[] {
  const anyAnswers = nodes.some(({ why }) => why === undefined)
  return nodes.map(({ node, why }) => {
    if (why === undefined) return ok(`the bootstrap node ${node} answers`)
    const more = {
      means: anyAnswers
        ? 'another one answers; one less may fail'
        : 'this agent finds no peers that do not find it',
      todo: 'see that agent dht, or an agent, runs there, that the name is right, and let UDP through the firewall, both ways',
    }
    const found = `the bootstrap node ${node} does not answer: ${why}`
    return anyAnswers ? warning(found, more) : problem(found, more)
  })
}

export function judgeMembers(agent: AgentSeen, { dht, listen }: PeerOptions): readonly Finding[] {
  if (agent.kind !== 'agent') return [notLookedAt('who the peers are, because no agent answers')]
  const { peers } = agent.status
  if (peers === undefined) return [notLookedAt('who the peers are, because the agent does not tell')]
  if (peers === null) {
    return [
      problem('the agent runs without peers, though a secret is given here', {
        means: 'it was started with other settings',
        todo: 'restart it, and see that its unit or pod has --peers-secret-file',
      }),
    ]
  }
  const { count, members } = peers
  if (count === 0) return [alone(dht?.port ?? DHT_PORT, listen?.port ?? LISTEN.port)]
  const strange = members.filter(({ understood }) => !understood)
  if (strange.length === 0) return [ok(`the agent sees ${plural(count, 'peer')}`)]
  const some = strange.slice(0, FEW_NAMES).map(({ name, version }) => `${name} (${version})`)
  return [
    warning(`of ${plural(count, 'peer')} ${strange.length} speak otherwise: ${plain(some.join(', '))}`, {
      means: 'nothing is taken from them, and nothing given to them',
      todo: 'bring all agents to the same version',
    }),
  ]
}

function alone(dhtPort: number, port: number): Finding {
  return warning('the agent sees no peer', {
    means: 'it brings everything from the registry by itself',
    todo: `if there are others: the same secret in all of them? a --bootstrap that all reach? UDP ${dhtPort} and TCP ${port} open between the nodes, both ways?`,
  })
}
