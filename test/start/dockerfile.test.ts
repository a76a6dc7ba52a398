import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { copyOf, readDockerfile } from './dockerfile.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

test('every path that the Dockerfile copies is in the repository and in the build context', async () => {
  const stages = readDockerfile(await readFile(join(ROOT, 'Dockerfile'), 'utf8'))
  const ignored = await readFile(join(ROOT, '.dockerignore'), 'utf8')
  const context = ignored.split('\n').flatMap((line) => (line.startsWith('!') ? [line.slice(1)] : []))
  for (const { instructions } of stages) {
    for (const { word, text } of instructions) {
      if (word !== 'COPY') continue
      const { from, sources } = copyOf(text)
      if (from !== undefined)
        assert.ok(
          stages.some((stage) => stage.name === from),
          `there is no build stage ${from}`,
        )
      else
        for (const source of sources)
          assert.ok(context.includes(source), `.dockerignore leaves out ${source}`)
    }
  }
})

test('a Dockerfile is read as Docker reads it', () => {
  const [one, two] = readDockerfile(`# a comment
FROM node:24-slim AS build
RUN a \\
# another comment
 && b
COPY --from=other x y ./
FROM scratch
CMD ["serve"]`)
  assert.deepEqual(one, {
    name: 'build',
    base: 'node:24-slim',
    instructions: [
      { word: 'RUN', text: 'a   && b' },
      { word: 'COPY', text: '--from=other x y ./' },
    ],
  })
  assert.deepEqual(copyOf('--from=other x y ./'), { from: 'other', sources: ['x', 'y'], target: './' })
  assert.equal(two?.name, '1')
})
