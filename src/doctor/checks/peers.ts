import { readFile } from 'node:fs/promises'
import { errorCode } from '../../lib/error-code.ts'
import { plain, plural } from '../../observe/text.ts'
import { pingDht } from '../../peers/dht/ping.ts'
import { guessHost, type PeerOptions } from '../../peers/peer-options.ts'
import { openSwarmProbe, type SwarmProbe } from '../../peers/probe.ts'
import { Failure } from '../../ports/failure.ts'
import { AS_ROOT, type Finding, notChecked, ok, problem, warning } from '../tools/finding.ts'
import { type Address, addressText, parseAddress } from '../tools/node-settings.ts'
import type { AgentAnswer } from './agent.ts'

const LISTEN: Address = { host: '0.0.0.0', port: 5052 }
const DHT_PORT = 49_737
const PROBE_MS = 4_000
const PING_MS = 5_000
/** A random secret of hex digits has more different characters. */
const MIN_DIFFERENT_CHARACTERS = 8
const MAX_NAMES = 5

/** Finds what keeps agents from reaching each other. */
export async function checkPeers(
  peers: PeerOptions | undefined,
  { agent, signal }: { agent: AgentAnswer; signal: AbortSignal },
): Promise<readonly Finding[]> {
  if (peers === undefined) return judgeMissingSecret(agent)
  const [secret, bootstrap] = await Promise.all([
    checkSecret(peers, { agent, signal }),
    checkBootstrap(peers.bootstrap ?? [], signal),
  ])
  return [...secret, ...bootstrap, ...judgeMembers(agent, peers)]
}

function judgeMissingSecret(agent: AgentAnswer): readonly Finding[] {
  const why = 'no peer secret is given here (--peers-secret-file)'
  const peers = agent.kind === 'agent' ? agent.status.peers : undefined
  if (peers === undefined || peers === null)
    return [notChecked('peers-off', `${why}, so the agent runs without peers`)]
  return [
    notChecked(
      'peers-secret-missing',
      `${why}, but the agent is a member of a swarm, and sees ${plural(peers.count, 'peer')}`,
      'give the doctor the settings of the agent: the same flags, variables and --config',
    ),
  ]
}

async function checkSecret(
  peers: PeerOptions,
  { agent, signal }: { agent: AgentAnswer; signal: AbortSignal },
): Promise<readonly Finding[]> {
  const { secretFile } = peers
  let swarmProbe: SwarmProbe
  try {
    swarmProbe = await openSwarmProbe(secretFile)
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return [judgeUnreadable(error)]
  }
  const address = advertisedAddress(agent, peers)
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

/** The address that the agent advertises to its peers; without a report of the agent, that of the settings. */
function advertisedAddress(agent: AgentAnswer, { advertise, listen = LISTEN }: PeerOptions): Address {
  const reported = agent.kind === 'agent' ? parseAddress(agent.status.peers?.self.address ?? null) : undefined
  return reported ?? { host: advertise ?? guessHost(listen.host), port: listen.port }
}

function judgeUnreadable(failure: Failure): Finding {
  const { cause } = failure
  if (errorCode(cause) === 'EACCES') {
    return notChecked(
      'peers-secret-unreadable',
      'this user may not read the file with the peer secret',
      AS_ROOT,
    )
  }
  return problem('peers-secret-unusable', failure.message, {
    means: 'the agent does not start with this file',
    todo: 'create a secret with openssl rand -hex 32, and put the same file on every node',
  })
}

function isWeak(text: string): boolean {
  const lines = text.split(/\r?\n/).map((line) => line.trim())
  return lines.some((line) => line !== '' && new Set(line).size < MIN_DIFFERENT_CHARACTERS)
}

function judgeSecret(path: string, fileWarning: string | undefined, isGuessable: boolean): Finding {
  const replacement =
    'put a new secret (openssl rand -hex 32) into the first line, and keep the old one in the second until all agents have the new one'
  if (isGuessable) {
    return problem('peers-secret-weak', `the secret in ${path} can be guessed`, {
      means: 'anyone who guesses it can join the swarm and read the cached content',
      todo: replacement,
    })
  }
  if (fileWarning !== undefined) {
    return warning('peers-secret-readable-by-others', fileWarning, {
      means: 'every user of this machine can join the swarm and read the cached content',
      todo: `chmod 640 ${path}, with the group of the agent; ${replacement}`,
    })
  }
  return ok('peers-secret-strong', `the secret in ${path} is strong, and not readable by others`)
}

function judgePort(
  address: Address,
  answer: string | undefined,
  { isGuessed }: { isGuessed: boolean },
): Finding {
  const where = `${addressText(address)}${isGuessed ? ' (guessed, because --advertise is not set)' : ''}`
  if (answer === undefined) return ok('peers-listener-answers', `the agent answers peers at ${where}`)
  return problem('peers-listener-unreachable', `peers cannot connect to the agent at ${where}: ${answer}`, {
    means: 'peers cannot take content from this node; it may still take content from them',
    todo: `set --advertise to an address of this node that other nodes reach, open TCP ${address.port} in the firewall, and check that the agent runs with this secret`,
  })
}

async function checkBootstrap(nodes: readonly Address[], signal: AbortSignal): Promise<readonly Finding[]> {
  if (nodes.length === 0) return []
  const within = AbortSignal.any([signal, AbortSignal.timeout(PING_MS)])
  const answers = await pingDht(nodes, { signal: within })
  return judgeBootstrap(nodes.map((node, i) => ({ node: addressText(node), why: answers[i]?.message })))
}

function judgeBootstrap(
  nodes: readonly { readonly node: string; readonly why: string | undefined }[],
): readonly Finding[] {
  const anyAnswers = nodes.some(({ why }) => why === undefined)
  return nodes.map(({ node, why }) => {
    if (why === undefined) return ok('peers-bootstrap-answers', `the bootstrap node ${node} answers`)
    const advice = {
      means: anyAnswers
        ? 'none for now, because another bootstrap node answers'
        : 'the agent finds no peers; only peers that find it can connect',
      todo: 'check that agent dht or an agent runs there and that the name is right, and open UDP in the firewall, in both directions',
    }
    const found = `the bootstrap node ${node} does not answer: ${why}`
    return anyAnswers
      ? warning('peers-bootstrap-silent', found, advice)
      : problem('peers-bootstrap-silent', found, advice)
  })
}

export function judgeMembers(agent: AgentAnswer, { dht, listen }: PeerOptions): readonly Finding[] {
  if (agent.kind !== 'agent')
    return [notChecked('peers-unknown', 'the peers are unknown, because no agent answers')]
  const { peers } = agent.status
  if (peers === undefined)
    return [notChecked('peers-unknown', 'the peers are unknown, because the agent does not report them')]
  if (peers === null) {
    return [
      problem('peers-not-running', 'the agent runs without peers, though a peer secret is given here', {
        means: 'the agent was started with other settings',
        todo: 'restart the agent, and check that its unit or pod has --peers-secret-file',
      }),
    ]
  }
  const { count, members } = peers
  if (count === 0) return [noPeers(dht?.port ?? DHT_PORT, listen?.port ?? LISTEN.port)]
  const incompatible = members.filter(({ understood }) => !understood)
  if (incompatible.length === 0) return [ok('peers-connected', `the agent sees ${plural(count, 'peer')}`)]
  const names = incompatible.slice(0, MAX_NAMES).map(({ name, version }) => `${name} (${version})`)
  return [
    warning(
      'peers-incompatible',
      `the protocol of ${incompatible.length} of ${plural(count, 'peer')} is incompatible: ${plain(names.join(', '))}`,
      {
        means: 'the agent exchanges no content with them',
        todo: 'update all agents to the same version',
      },
    ),
  ]
}

function noPeers(dhtPort: number, port: number): Finding {
  return warning('peers-none', 'the agent sees no peers', {
    means: 'the agent fetches everything from the registry',
    todo: `if there are other agents: give all of them the same secret and a --bootstrap node that all reach, and open UDP ${dhtPort} and TCP ${port} between the nodes, in both directions`,
  })
}
