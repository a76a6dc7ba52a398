import type { ObjectStoreExamination, Problem } from '../../object-store/examine.ts'
import { plain, sizeText } from '../../observe/text.ts'
import { AS_ROOT, type Finding, notChecked, ok, problem, warning } from '../tools/finding.ts'
import type { AgentAnswer } from './agent.ts'

const FROM_UPSTREAM = 'content comes from upstream instead'
const NO_CREDENTIALS = /^There are no credentials/

/** The bucket as this command sees it, and then what the agent says of it. Undefined: the settings name none. */
export function judgeObjectStore(
  found: ObjectStoreExamination | undefined,
  agent: AgentAnswer,
): readonly Finding[] {
  if (found === undefined) return []
  const reported = agent.kind === 'agent' ? agent.status.objectStore : undefined
  return [...judgeExamination(found), ...(reported ? judgeReport(reported) : [])]
}

function judgeExamination(found: ObjectStoreExamination): readonly Finding[] {
  if (found.readProblem !== undefined) return [judgeReading(found.name, found.readProblem)]
  return [ok('object-store-readable', readableText(found)), ...judgeWriting(found)]
}

function readableText({ name, credentialsFrom, blob }: ObjectStoreExamination): string {
  const how =
    credentialsFrom === undefined ? 'without credentials' : `with the credentials of ${credentialsFrom}`
  const what = blob === undefined ? 'it has no blobs yet' : `a blob of ${sizeText(blob.size)} was found in it`
  return `the bucket ${plain(name)} can be read ${how}; ${what}`
}

function judgeReading(name: string, { code, message }: Problem): Finding {
  const why = plain(message).replace(/\.$/, '')
  if (NO_CREDENTIALS.test(message))
    return notChecked(
      'object-store-no-credentials',
      `the bucket ${plain(name)} was not asked: ${why}`,
      `${AS_ROOT}, with the environment of the agent, or correct objectStore.credentials in the settings`,
    )
  if (code === 'denied')
    return problem('object-store-denied', `the bucket ${plain(name)} cannot be read: ${why}`, {
      means: FROM_UPSTREAM,
      todo: 'correct the credentials, the rights, or the clock, as the finding says',
    })
  return problem('object-store-unreachable', `the bucket ${plain(name)} does not answer: ${why}`, {
    means: FROM_UPSTREAM,
    todo: 'check objectStore.url, endpoint and caFile in the settings, and the connection to the server',
  })
}

function judgeWriting({ name, writeProblem }: ObjectStoreExamination): readonly Finding[] {
  if (writeProblem === undefined) return []
  const why = plain(writeProblem.message).replace(/\.$/, '')
  return [
    warning('object-store-not-writable', `nothing can be uploaded to the bucket ${plain(name)}: ${why}`, {
      means: 'the bucket is read, and stays as it is',
      todo: 'grant s3:PutObject and s3:AbortMultipartUpload, or set objectStore.fill to none',
    }),
  ]
}

type Reported = NonNullable<Extract<AgentAnswer, { kind: 'agent' }>['status']['objectStore']>

function judgeReport({ paused, uploads }: Reported): readonly Finding[] {
  const todo = 'correct what the finding says; the agent tries it again by itself'
  return [
    ...(paused === null
      ? []
      : [
          warning('object-store-paused', `the agent does not ask the bucket now: ${plain(paused)}`, {
            means: FROM_UPSTREAM,
            todo,
          }),
        ]),
    ...(uploads.problem === null
      ? []
      : [
          warning('object-store-uploads-fail', `uploads of the agent fail: ${plain(uploads.problem)}`, {
            means: `${uploads.waiting} uploads wait, and are tried again`,
            todo,
          }),
        ]),
  ]
}
