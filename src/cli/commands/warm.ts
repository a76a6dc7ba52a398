import { loadSetting, loadSettings } from '../../config/load.ts'
import { WarmLine, type WarmRequest } from '../../schemas/warm-report.ts'
import { askLines } from '../context/client.ts'
import {
  type Command,
  CommandError,
  DATA_FLAG,
  type Invocation,
  JSON_FLAG,
  type Terminal,
} from '../context/command.ts'
import { givenSettings, settingFlags } from '../context/settings.ts'
import { explained, OR_ELSE, outcome } from '../context/upkeep.ts'
import { namedImages, namedPlatforms } from '../warm/images.ts'
import { TellingNodes } from '../warm/nodes.ts'
import { TellingImages, TellingPrograms } from '../warm/progress.ts'

/** Who has images here before anybody pulls them: the agent, or this process. */
interface Warming {
  warm(request: WarmRequest & { signal: AbortSignal }): AsyncIterable<WarmLine>
}

/** `agent warm REF...`. */
export const warm: Command = {
  words: [
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
      shown: "that of the agent's node",
    },
    {
      name: 'referrers',
      kind: 'switch',
      help: 'also signatures, attestations and whatever else refers to the image',
      shown: undefined,
    },
    { name: 'pin', kind: 'switch', help: 'and keep them, whatever else has to go', shown: undefined },
    {
      name: 'file',
      kind: 'text',
      help: 'a list with one image on a line; # begins a comment',
      shown: undefined,
    },
    {
      name: 'all-nodes',
      kind: 'switch',
      help: 'here and on every other agent of the swarm',
      shown: undefined,
    },
    DATA_FLAG,
    ...settingFlags('admin', 'config'),
    JSON_FLAG,
  ],
  examples: [
    { line: 'agent warm alpine:3.20 ghcr.io/acme/app:v1', what: "all of both for this node's platform" },
    { line: 'agent warm --platform linux/amd64 --platform linux/arm64 alpine', what: 'for two platforms' },
    {
      line: 'agent warm --file images.txt --referrers --pin',
      what: 'a list of them, with signatures, for good',
    },
    {
      line: 'agent warm --all-nodes ghcr.io/acme/app:v1',
      what: 'on every node, with one copy from upstream',
    },
    { line: 'agent warm alpine --data /var/lib/leat', what: 'while no agent is running, as in a node image' },
  ],
  async run(given, terminal) {
    const images = [...(await namedImages(given))]
    const request: WarmRequest = {
      images,
      platforms: [...namedPlatforms(given)],
      referrers: given.switches.has('referrers'),
      pin: given.switches.has('pin'),
      allNodes: given.switches.has('all-nodes'),
    }
    if (request.allNodes && given.values['data'] !== undefined) {
      throw new CommandError('--all-nodes is for the running agent to ask the others; leave --data out', {
        exitCode: 2,
      })
    }
    const signal = terminal.stopped()
    try {
      return await withWarming(given, terminal, (warming) =>
        show(warming.warm({ ...request, signal }), terminal, {
          isJson: given.switches.has('json'),
          allNodes: request.allNodes,
        }),
      )
    } catch (error) {
      throw explained(error)
    }
  },
}

async function withWarming(
  given: Invocation,
  terminal: Terminal,
  work: (warming: Warming) => Promise<0 | 1>,
): Promise<0 | 1> {
  const settings = givenSettings(given, terminal)
  if (given.values['data'] === undefined) {
    const admin = await loadSetting('admin', settings)
    return work({
      warm: ({ signal, ...body }) =>
        askLines(admin, { method: 'POST', path: '/api/v1/warm', body, signal, orElse: OR_ELSE }, WarmLine),
    })
  }
  // Whoever asks the agent needs none of its own.
  const [agent, { agentOptions }, { openingFailure }] = await Promise.all([
    import('../../agent.ts'),
    import('./serve.ts'),
    import('../context/stored.ts'),
  ])
  const options = agentOptions(await loadSettings(settings), terminal)
  try {
    return await agent.withWarming(options, work)
  } catch (error) {
    throw openingFailure(error, options.data)
  }
}

async function show(
  lines: AsyncIterable<WarmLine>,
  terminal: Terminal,
  { isJson, allNodes }: { isJson: boolean; allNodes: boolean },
): Promise<0 | 1> {
  const telling = isJson
    ? new TellingPrograms(terminal)
    : allNodes
      ? new TellingNodes(terminal)
      : new TellingImages(terminal)
  try {
    const done = await outcome(lines, (line) => telling.line(line))
    await telling.done(done)
    return done.failed === 0 ? 0 : 1
  } finally {
    await telling.end()
  }
}
