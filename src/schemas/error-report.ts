import * as v from 'valibot'

/** Every answer of `/api/v1` with a status from 400: one sentence that says what is wrong and what to do. */
export const ErrorReport = v.object({ error: v.string() })
