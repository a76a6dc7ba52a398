import { loadSetting, loadSettings } from '../config/load.ts'
import { WarmLine, type WarmProgress, type WarmRequest } from '../observe/warm-report.ts'
import { plain } from '../observe/words.ts'
import { Bars } from './bars.ts'
import { askLines } from './client.ts'
import { type Command, DATA_FLAG, type Invocation, JSON_FLAG, type Terminal } from './command.ts'
import { Progress } from './progress.ts'
import { givenSettings, settingFlags } from './settings.ts'
import { explained, OR_ELSE, outcome } from './upkeep.ts'
import { namedImages, namedPlatforms } from './warm-list.ts'
import { barLines, doneText, imageText, totalText } from './warm-text.ts'

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
    { line: 'agent warm alpine --data /var/lib/leat', what: 'while no agent is running, as in a node image' },
  ],
  async run(given, terminal) {
    const images = [...(await namedImages(given))]
    const request: WarmRequest = {
      images,
      platforms: [...namedPlatforms(given)],
      referrers: given.switches.has('referrers'),
      pin: given.switches.has('pin'),
    }
    const signal = terminal.stopped()
    try {
      return await withWarming(given, terminal, (warming) =>
        show(warming.warm({ ...request, signal }), terminal, { isJson: given.switches.has('json') }),
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
    import('../agent.ts'),
    import('./serve.ts'),
    import('./stored.ts'),
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
  { isJson }: { isJson: boolean },
): Promise<0 | 1> {
  const foot = footOf(terminal, isJson)
  let failed = 0
  try {
    const done = await outcome(lines, async (line) => {
      if (isJson) await terminal.out(`${JSON.stringify(line)}\n`)
      else if (line.is === 'progress') await foot.show(line)
      else {
        await foot.clear()
        if (line.error === null) await terminal.out(imageText(line, terminal.isInteractive))
        else await terminal.err(`agent: ${plain(line.error)}\n`)
      }
    })
    failed = done.failed
    await foot.clear()
    // Of one image that could not be had there is nothing more to say.
    if (isJson) await terminal.out(`${JSON.stringify(done)}\n`)
    else if (done.images > failed) await terminal.out(doneText(done))
    return failed === 0 ? 0 : 1
  } finally {
    await foot.clear()
  }
}

interface Foot {
  show(progress: WarmProgress): Promise<void>
  clear(): Promise<void>
}

function footOf(terminal: Terminal, isJson: boolean): Foot {
  if (terminal.isInteractive && !isJson) {
    const bars = new Bars(terminal)
    return {
      show: (progress) => bars.draw(barLines(progress, terminal.columns)),
      clear: () => bars.clear(),
    }
  }
  const progress = new Progress(terminal, { isSilent: isJson })
  return { show: (line) => progress.show(totalText(line)), clear: () => progress.clear() }
}
