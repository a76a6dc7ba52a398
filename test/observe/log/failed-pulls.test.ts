import assert from 'node:assert/strict'
import { test } from 'node:test'
import { publish } from '../../../src/observe/events.ts'
import { startLog } from '../../../src/observe/log/log.ts'
import { ALPINE, digestOf } from '../memory-node.ts'
import { requestEnded } from '../sample-events.ts'

function logged(act: () => void): Record<string, unknown>[] {
  const lines: string[] = []
  const log = startLog({ level: 'info', stream: { write: (line: string) => lines.push(line) } })
  act()
  log.close()
  return lines.map((line) => {
    const { time: _, ...rest } = JSON.parse(line)
    return rest
  })
}

const FAILED = requestEnded({
  route: 'manifest',
  code: 502,
  reference: '3',
  error: 'registry-1.docker.io: ECONNREFUSED',
  failedSource: 'registry-1.docker.io',
})

test('a failed pull is a line at info with image, status, source and reason, and then with how often', () => {
  const line = {
    level: 'warn',
    message: 'pull failed',
    image: 'docker.io/library/alpine:3',
    status: 502,
    source: 'registry-1.docker.io',
    reason: 'registry-1.docker.io: ECONNREFUSED',
  }
  const lines = logged(() => {
    for (let times = 0; times < 4; times += 1) publish('request.ended', FAILED)
  })
  assert.deepEqual(lines, [
    { ...line, times: 1 },
    { ...line, times: 3 },
  ])
})

test('what does not exist is no warning, and all blobs of an image are one line', () => {
  const lines = logged(() => {
    const missing = { ...FAILED, code: 404, error: 'not found', failedSource: undefined }
    publish('request.ended', { ...missing, reference: digestOf('x') })
    for (const text of ['a', 'b', 'c']) {
      publish('request.ended', { ...FAILED, route: 'blob', reference: digestOf(text) })
    }
    // A repository that is not allowed has no reference.
    publish('request.ended', { ...missing, reference: undefined })
  })
  assert.deepEqual(
    lines.map(({ level, image, times }) => [level, image, times]),
    [
      ['info', `docker.io/library/alpine@${digestOf('x')}`, 1],
      ['warn', 'docker.io/library/alpine (a blob)', 1],
      ['info', 'docker.io/library/alpine', 1],
      ['warn', 'docker.io/library/alpine (a blob)', 2],
    ],
  )
})

test('other requests are not pulls that fail', () => {
  const lines = logged(() => {
    publish('request.ended', requestEnded())
    publish('request.ended', requestEnded({ aborted: true }))
    publish('request.ended', { ...FAILED, method: 'PUT' })
    publish('request.ended', { ...FAILED, route: 'tags' })
    publish('request.ended', { ...FAILED, repository: undefined })
  })
  assert.deepEqual(lines, [])
})

test('a stale tag is named in words one would search for, once in a minute', () => {
  const lines = logged(() => {
    for (let times = 0; times < 3; times += 1)
      publish('tag.revalidated', { repository: ALPINE, tag: 'latest', outcome: 'stale-if-error' })
  })
  const message = 'serving a stale tag, because upstream cannot be reached'
  const line = { level: 'warn', image: 'docker.io/library/alpine:latest', message }
  assert.deepEqual(lines, [
    { ...line, times: 1 },
    { ...line, times: 2 },
  ])
})
