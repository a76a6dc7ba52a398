import { loadSettings } from '../../config/load.ts'
import { parseDuration } from '../../config/values/duration.ts'
import { MAX_WAIT_MS, WarmLine, type WarmRequest } from '../../schemas/warm-report.ts'
import { adminFlags, adminTarget } from '../context/admin-target.ts'
import { agentOptions } from '../context/agent-options.ts'
import { streamApi } from '../context/client.ts'
import {
  type Command,
  DATA_FLAG,
  type Invocation,
  JSON_FLAG,
  singleValue,
  type Terminal,
  usageError,
} from '../context/command.ts'
import { givenSettings } from '../context/settings.ts'
import { asCommandError, DATA_ALTERNATIVE, resultOf } from '../context/upkeep.ts'
import { imagesOf, platformsOf } from '../warm/image-arguments.ts'
import { NodeOutput } from '../warm/node-output.ts'
import { ImageOutput, JsonOutput } from '../warm/output.ts'

/** What warms the images: the running agent, or this process. */
interface Warmer {
  warm(request: WarmRequest & { signal: AbortSignal }): AsyncIterable<WarmLine>
}

/** `agent warm REF...`. */
export const warm: Command = {
  positionals: [
    {
      name: 'image',
      help: 'an image such as alpine:3.20, ghcr.io/acme/app:v1 or ghcr.io/acme/app@sha256:…',
      isMany: true,
      isOptional: true,
    },
  ],
  flags: [
    {
      name: 'platform',
      kind: 'list',
      help: 'os/architecture[/variant], or all; may be given several times',
      defaultText: 'the platform of the node',
    },
    {
      name: 'referrers',
      kind: 'switch',
      help: 'also fetch referrers: signatures, attestations and the like',
      defaultText: undefined,
    },
    {
      name: 'pin',
      kind: 'switch',
      help: 'also pin the images, so that they are never evicted',
      defaultText: undefined,
    },
    {
      name: 'file',
      kind: 'text',
      help: 'file with one image per line; # starts a comment',
      defaultText: undefined,
    },
    {
      name: 'all-nodes',
      kind: 'switch',
      help: 'also warm on every other agent of the swarm',
      defaultText: undefined,
    },
    {
      name: 'wait',
      kind: 'text',
      help: 'how long each image waits for a registry that does not answer, such as 5m; at most 1h',
      defaultText: '0s',
    },
    DATA_FLAG,
    ...adminFlags(),
    JSON_FLAG,
  ],
  examples: [
    {
      line: 'agent warm alpine:3.20 ghcr.io/acme/app:v1',
      what: 'fetch two images for the platform of the node',
    },
    {
      line: 'agent warm --platform linux/amd64 --platform linux/arm64 alpine',
      what: 'fetch an image for two platforms',
    },
    {
      line: 'agent warm --file images.txt --referrers --pin',
      what: 'fetch a list of images with their signatures, and pin them',
    },
    {
      line: 'agent warm --all-nodes ghcr.io/acme/app:v1',
      what: 'fetch an image on every node, but only once from upstream',
    },
    {
      line: 'agent warm alpine --data /var/lib/leat',
      what: 'fetch into a data folder while no agent is running, such as for a node image',
    },
  ],
  async run(given, terminal) {
    const images = [...(await imagesOf(given, { command: 'warm' }))]
    const request: WarmRequest = {
      images,
      platforms: [...platformsOf(given)],
      referrers: given.switches.has('referrers'),
      pin: given.switches.has('pin'),
      allNodes: given.switches.has('all-nodes'),
      waitMs: waitOf(given),
    }
    if (request.allNodes && given.values['data'] !== undefined) {
      throw usageError('--all-nodes needs a running agent; leave out --data')
    }
    const signal = terminal.stopped()
    try {
      return await withWarmer(given, terminal, (warmer) =>
        show(warmer.warm({ ...request, signal }), terminal, {
          isJson: given.switches.has('json'),
          allNodes: request.allNodes,
        }),
      )
    } catch (error) {
      throw asCommandError(error)
    }
  },
}

function waitOf(given: Invocation): number {
  const text = singleValue(given, 'wait')
  const ms = text === undefined ? 0 : parseDuration(text)
  if (ms !== undefined && ms <= MAX_WAIT_MS) return ms
  throw usageError(`--wait is ${JSON.stringify(text)}; expected a duration such as 5m, at most 1h`)
}

async function withWarmer(
  given: Invocation,
  terminal: Terminal,
  work: (warmer: Warmer) => Promise<0 | 1>,
): Promise<0 | 1> {
  const settings = givenSettings(given, terminal)
  if (given.values['data'] === undefined) {
    const admin = await adminTarget(settings)
    return work({
      warm: ({ signal, ...body }) =>
        streamApi(
          admin,
          { method: 'POST', path: '/api/v1/warm', body, signal, alternative: DATA_ALTERNATIVE },
          WarmLine,
        ),
    })
  }
  // Loaded here only, because a command that asks a running agent needs no agent of its own.
  const [{ withWarming }, { openError }] = await Promise.all([
    import('../../agent.ts'),
    import('../context/offline-store.ts'),
  ])
  const options = agentOptions(await loadSettings(settings), terminal)
  try {
    return await withWarming(options, work)
  } catch (error) {
    throw openError(error, options.data)
  }
}

async function show(
  lines: AsyncIterable<WarmLine>,
  terminal: Terminal,
  { isJson, allNodes }: { isJson: boolean; allNodes: boolean },
): Promise<0 | 1> {
  const output = isJson
    ? new JsonOutput(terminal)
    : allNodes
      ? new NodeOutput(terminal)
      : new ImageOutput(terminal)
  try {
    const done = await resultOf(lines, (line) => output.line(line))
    await output.done(done)
    return done.failed === 0 ? 0 : 1
  } finally {
    await output.end()
  }
}
