import { writeSync } from 'node:fs'
import { openHosted } from '../../../src/hosted/open-hosted.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { Failure } from '../../../src/ports/failure.ts'
import { openStore } from '../../../src/store/open.ts'
import { SeededRandom } from '../../../testkit/seeded-random.ts'
import { imageOf, manifestPush, pushBlob, TEAM, write } from '../../hosted/lab.ts'

/** How many clients push at a time; each has tags of its own. */
export const CLIENTS = 3
const TAGS_PER_CLIENT = 3
/** Long enough that a push on a slow machine mostly finds its blobs, and short enough that garbage is found all the time. */
const GRACE_MS = 400

const never = new AbortController().signal

// As a program, until it is killed: clients push, delete and send uploads, while garbage is collected. Each step is a line.
const [, , path, seed] = process.argv
if (process.env['LEAT_HOSTING_PROGRAM'] === '1' && path !== undefined) await run(path, Number(seed))

async function run(folder: string, seed: number): Promise<void> {
  const store = await openStore({ path: folder })
  const hosted = openHosted({ names: ['team/**'], graceMs: GRACE_MS }, store, {
    state: async () => undefined,
  })
  say('ready')
  const clients = Array.from({ length: CLIENTS }, (_, number) =>
    push(number, new SeededRandom(seed + number)),
  )
  await Promise.all([...clients, upload(), collect()])

  async function push(client: number, random: SeededRandom): Promise<void> {
    for (let round = 0; ; round++) {
      const tag = `t${client}-${random.between(1, TAGS_PER_CLIENT)}`
      if (random.chance(0.2)) {
        say(`begin ${tag} -`)
        await hosted.registry.deleteTag(TEAM, tag)
        say(`done ${tag} -`)
        continue
      }
      // Some layers are pushed again and again, when they are garbage, too.
      const layer = Buffer.alloc(random.between(1, 90_000), `${seed} ${client} ${round}`)
      const shared = Buffer.from(`shared ${random.between(1, 5)}`)
      try {
        const config = await pushBlob(hosted.registry, Buffer.from(`{"n":"${seed} ${client} ${round}"}`))
        const layers = [await pushBlob(hosted.registry, layer), await pushBlob(hosted.registry, shared)]
        const bytes = imageOf({ config, layers })
        say(`begin ${tag} ${digestOf(bytes)}`)
        const answer = await hosted.registry.putManifest(TEAM, manifestPush(bytes, [tag]))
        // A blob may be garbage already on a machine that is slower than the grace period.
        say('pushed' in answer ? `done ${tag} ${answer.pushed.digest}` : `refused ${tag}`)
      } catch (error) {
        if (!(error instanceof Failure)) throw error
        say(`refused ${tag}`)
      }
    }
  }

  async function collect(): Promise<void> {
    for (;;) {
      for await (const { is } of hosted.garbage.collect({ isDryRun: false, signal: never }))
        say(`collected ${is}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  async function upload(): Promise<void> {
    const { uploads } = hosted.registry
    const { id } = await uploads.begin(TEAM, { algorithm: 'sha256' })
    say(`sent ${id} 0`)
    for (let sent = 0; ; sent += 10_000) {
      const writer = await uploads.open(TEAM, id, { size: 10_000, signal: never })
      if (writer === undefined) throw new Error('the upload is gone')
      await write(writer, Buffer.alloc(10_000, 7))
      await writer.close()
      say(`sent ${id} ${sent + 10_000}`)
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
  }
}

/** The line is out before the next step begins. */
function say(line: string): void {
  writeSync(1, `${line}\n`)
}
