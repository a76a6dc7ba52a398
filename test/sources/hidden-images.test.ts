import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Deferred } from '../../src/lib/async/deferred.ts'
import { type Events, subscribe } from '../../src/observe/events.ts'
import type { Digest } from '../../src/oci/digest.ts'
import type { ImageIdentity } from '../../src/ports/local-source.ts'
import { type ComparedSource, HiddenImages } from '../../src/sources/hidden-images.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import { buildImage } from '../../testkit/registries/image.ts'
import { layoutFiles, skopeoFiles, writeFiles } from '../../testkit/registries/image-folders.ts'
import { hub, openSource, temporaryFolder } from './files/files.ts'

const app = buildImage('app')
const other = buildImage('other')
const APP = hub('acme/app')

function digest(text: string): Digest {
  return digestOf(Buffer.from(text))
}

/** The events about hidden images until the end of the test. */
function collect(t: TestContext): readonly Events['source.hidden'][] {
  const events: Events['source.hidden'][] = []
  t.after(subscribe('source.hidden', (event) => events.push(event)))
  return events
}

function open(t: TestContext, sources: readonly ComparedSource[], now?: () => number): HiddenImages {
  const hidden = new HiddenImages(sources, now)
  t.after(() => hidden.close())
  return hidden
}

/** A source whose images of `acme/app` are these, by tag. */
function sourceOf(
  name: string,
  images: Readonly<Record<string, ImageIdentity | (() => Promise<ImageIdentity | undefined>)>>,
): ComparedSource {
  return {
    name,
    tags: async () => Object.keys(images),
    identify: async (_, tag) => {
      const image = images[tag]
      return typeof image === 'function' ? image() : image
    },
  }
}

const live = () => new AbortController().signal

test('an image is hidden where an earlier source has another one under its name, and that is published once', async (t) => {
  const folder = await temporaryFolder(t)
  const [first, second] = [join(folder, 'first'), join(folder, 'second')]
  await writeFiles(join(first, 'acme/app/v1'), skopeoFiles(app))
  await writeFiles(join(first, 'acme/same/v1'), skopeoFiles(app))
  await writeFiles(
    second,
    layoutFiles({ 'acme/app:v1': other, 'acme/app:v2': other, 'acme/same:v1': app, 'acme/own:v1': other }),
  )
  const sources = [
    openSource(t, { from: { kind: 'dir', path: first } }),
    openSource(t, { from: { kind: 'oci', path: second } }),
  ]
  const hidden = open(t, sources)
  const events = collect(t)
  const repositories = await Promise.all(sources.map((source) => source.repositories({ signal: live() })))
  const image = {
    image: 'docker.io/acme/app:v1',
    digest: other.manifest.digest,
    servedBy: `dir ${first}`,
    servedDigest: app.manifest.digest,
  }
  assert.deepEqual(await hidden.find(repositories, live()), { hidden: [[], [image]], isComplete: true })
  assert.deepEqual(await hidden.find(repositories, live()), { hidden: [[], [image]], isComplete: true })
  assert.deepEqual(events, [{ ...image, source: `oci ${second}` }])
})

test('what was served is compared once in a minute, and again when its tag gives another image', async (t) => {
  let now = 0
  let asked = new Deferred<void>()
  let questions = 0
  const one = digest('one')
  const hidden = open(
    t,
    [
      sourceOf('dir /a', { v1: { manifest: one, configs: [] } }),
      sourceOf('dir /b', {
        v1: async () => {
          questions += 1
          asked.resolve()
          return { manifest: digest('two'), configs: [] }
        },
      }),
    ],
    () => now,
  )
  const published = new Deferred<void>()
  t.after(subscribe('source.hidden', () => published.resolve()))
  for (let pulls = 0; pulls < 3; pulls += 1) hidden.served(APP, 'v1', one)
  await published.promise
  now = 59_999
  hidden.served(APP, 'v1', one)
  assert.equal(questions, 1)
  asked = new Deferred()
  hidden.served(APP, 'v1', digest('three'))
  await asked.promise
  now += 60_000
  asked = new Deferred()
  hidden.served(APP, 'v1', digest('three'))
  await asked.promise
  assert.equal(questions, 3)
})

test('an image of Docker without a manifest is compared by its config', async (t) => {
  const [config, manifest] = [digest('config'), digest('manifest')]
  const docker = (name: string) => ({ manifest: undefined, configs: [digest(name)] })
  const layout = { manifest, configs: [config, digest('of another platform')] }
  const hidden = open(t, [
    sourceOf('oci /a', { same: layout, differs: layout, unknown: { manifest, configs: [] } }),
    sourceOf('docker unix:///x', {
      same: docker('config'),
      differs: docker('another'),
      unknown: docker('x'),
    }),
  ])
  const [, found = []] = (await hidden.find([[APP], [APP]], live())).hidden
  assert.deepEqual(found, [
    {
      image: 'docker.io/acme/app:differs',
      digest: digest('another'),
      servedBy: 'oci /a',
      servedDigest: manifest,
    },
  ])
})

test('while a source cannot say what it has, only other names are compared', async (t) => {
  const image = (text: string): ImageIdentity => ({ manifest: digest(text), configs: [] })
  const hidden = open(t, [
    sourceOf('docker unix:///x', { v1: () => Promise.reject(new Error('away')), v2: image('a') }),
    sourceOf('dir /b', { v1: image('b'), v2: image('b') }),
    sourceOf('dir /c', { v1: image('c'), v2: image('a') }),
  ])
  const found = await hidden.find([[APP], [APP], [APP]], live())
  assert.deepEqual(
    found.hidden.map((images) => images.map((one) => one.image)),
    [[], ['docker.io/acme/app:v2'], []],
  )
})

test('a comparison ends with its signal, and gives what was found until then', async (t) => {
  const stop = new AbortController()
  const image = (text: string): ImageIdentity => ({ manifest: digest(text), configs: [] })
  const hangs = (): Promise<undefined> => {
    stop.abort()
    return new Promise(() => {})
  }
  const hidden = open(t, [
    sourceOf('dir /a', { v1: image('a'), v2: hangs, v3: image('a') }),
    sourceOf('dir /b', { v1: image('b'), v2: image('b'), v3: image('b') }),
  ])
  const found = await hidden.find([[APP], [APP]], stop.signal)
  assert.equal(found.isComplete, false)
  assert.deepEqual(
    found.hidden.map((images) => images.map((one) => one.image)),
    [[], ['docker.io/acme/app:v1']],
  )
})

test('the last comparison is told while the next one runs, one at a time and once in 15 s', async (t) => {
  let now = 0
  let questions = 0
  let asked = new Deferred<void>()
  let answer = new Deferred<void>()
  const image = (text: string): ImageIdentity => ({ manifest: digest(text), configs: [] })
  const hidden = open(
    t,
    [
      sourceOf('dir /a', { v1: image('a') }),
      sourceOf('dir /b', {
        v1: async () => {
          questions += 1
          asked.resolve()
          await answer.promise
          return image('b')
        },
      }),
    ],
    () => now,
  )
  const latest = () => hidden.latest([[APP], [APP]])
  const ended = async (): Promise<void> => {
    answer.resolve()
    while (!latest().isComplete) await new Promise(setImmediate)
  }
  assert.deepEqual(latest(), { hidden: [[], []], isComplete: false })
  await asked.promise
  latest()
  await ended()
  assert.equal(latest().hidden[1]?.length, 1)
  now = 14_999
  latest()
  assert.equal(questions, 1)
  asked = new Deferred()
  answer = new Deferred()
  now = 15_000
  assert.equal(latest().hidden[1]?.length, 1)
  await asked.promise
  assert.equal(latest().isComplete, true)
  assert.equal(questions, 2)
})

test('a comparison that runs ends when its owner closes it', async () => {
  const asked = new Deferred<void>()
  const hangs = (): Promise<undefined> => {
    asked.resolve()
    return new Promise(() => {})
  }
  const hidden = new HiddenImages([
    sourceOf('dir /a', { v1: hangs }),
    sourceOf('dir /b', { v1: { manifest: digest('b'), configs: [] } }),
  ])
  hidden.latest([[APP], [APP]])
  await asked.promise
  await hidden.close()
  assert.equal(hidden.latest([[APP], [APP]]).isComplete, false)
})
