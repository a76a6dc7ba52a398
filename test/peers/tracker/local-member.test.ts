import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Deferred } from '../../../src/lib/async/deferred.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { LocalMember } from '../../../src/peers/tracker/local-member.ts'
import type { JoinRequest, SessionListener } from '../../../src/peers/tracker/session.ts'
import type { Progress } from '../../../src/peers/wire/protocol/messages.ts'
import type { LocalContent, LocalState } from '../../../src/ports/local-content.ts'
import { memberId } from './model-swarm.ts'

const SIZE = 1000
const WHOLE: LocalState = { isComplete: true, availableBytes: SIZE, size: SIZE, mediaType: undefined }
const HALF: LocalState = { isComplete: false, availableBytes: SIZE / 2, size: SIZE, mediaType: undefined }

/** A local member with local content and a delivery plan that the test controls. */
function localMember(t: TestContext, state: LocalState | undefined) {
  let content = state
  let [hasSession, isParticipant] = [false, false]
  let change = (): void => {}
  let listener: SessionListener | undefined
  const joined: JoinRequest[] = []
  const reported: Progress[] = []
  const sizes: number[] = []
  const fetch = new Deferred<void>()
  const localContent: LocalContent = {
    state: async () => content,
    open: async () => undefined,
    confirm: async () => {},
    checkpoints: async () => undefined,
    fetch: () => fetch.promise,
    watch: (_, onChange) => {
      change = onChange
      return () => {}
    },
  }
  const member = new LocalMember({
    want: { digest: 'sha256:1' as Digest, kind: 'blob', repository: { registry: 'up.test', name: 'app' } },
    self: {
      contact: { id: memberId('0'), name: 'node', host: '127.0.0.1', port: 1, fingerprint: '0' },
      zone: undefined,
    },
    localContent,
    state,
    plan: {
      hasSession: () => hasSession,
      isParticipant: () => isParticipant,
      checkpointCount: () => 0,
      join: (request, joinedListener) => {
        joined.push(request)
        listener = joinedListener
        hasSession = isParticipant = true
        return {
          report: (progress) => void reported.push(progress),
          leave: () => {
            hasSession = false
          },
        }
      },
      leave: () => {
        hasSession = isParticipant = false
      },
      setSize: (size) => void sizes.push(size),
      addCheckpoints: () => {},
    },
  })
  // The timers of a local member do not keep a process alive.
  const keepAlive = setInterval(() => {}, 1000)
  t.after(() => {
    clearInterval(keepAlive)
    member.close()
  })
  return {
    member,
    joined,
    reported,
    sizes,
    fetchEnds: () => fetch.resolve(),
    /** A transfer of the local node joins the plan by a session of its own. */
    transferJoins: () => {
      listener?.onEnded()
      hasSession = isParticipant = true
      member.noteJoined()
    },
    transferLeaves: ({ isSeeder }: { isSeeder: boolean }) => {
      hasSession = false
      isParticipant = isSeeder
    },
    heartbeat: () => listener?.onInstruction({ is: 'beat' }),
    setContent: async (next: LocalState | undefined) => {
      content = next
      change()
      await delay(60)
    },
    get isParticipant() {
      return isParticipant
    },
  }
}

test('an owner that has the content joins as a seeder at once', async (t) => {
  const { member, joined } = localMember(t, WHOLE)
  await member.ready()
  assert.deepEqual(
    joined.map(({ whole, from }) => ({ whole, from })),
    [{ whole: true, from: undefined }],
  )
})

test('an owner whose transfer joins by a session does not join a second time, and tells the plan the size', async (t) => {
  const local = localMember(t, undefined)
  local.transferJoins()
  await local.member.ready()
  await local.setContent(HALF)
  assert.deepEqual([local.joined, local.reported, local.sizes], [[], [], [SIZE]])
  await delay(1000)
  assert.deepEqual(local.joined, [])
})

test('an owner whose transfer follows another plan joins after a second, and reports on each heartbeat', async (t) => {
  const local = localMember(t, HALF)
  await local.member.ready()
  assert.deepEqual(
    local.joined.map(({ position, from }) => ({ position, from })),
    [{ position: SIZE / 2, from: 'upstream' }],
  )
  local.heartbeat()
  await delay(60)
  assert.deepEqual(local.reported, [{ is: 'at', position: SIZE / 2 }])
  await local.setContent(WHOLE)
  assert.deepEqual(local.reported.at(-1), { is: 'whole' })
  assert.equal(local.isParticipant, true)
})

test('an owner that cannot get the content does not keep other members waiting', async (t) => {
  const local = localMember(t, undefined)
  local.fetchEnds()
  await local.member.ready()
  assert.deepEqual(local.joined, [])
})

test('an owner that gets the content by another plan joins as a seeder', async (t) => {
  const local = localMember(t, undefined)
  local.transferJoins()
  local.transferLeaves({ isSeeder: false })
  await local.setContent(WHOLE)
  assert.deepEqual(
    local.joined.map(({ whole }) => whole),
    [true],
  )
})

test('an owner that no longer has the content leaves the plan', async (t) => {
  const local = localMember(t, undefined)
  local.transferJoins()
  local.transferLeaves({ isSeeder: true })
  await local.setContent(undefined)
  assert.equal(local.isParticipant, false)
})
