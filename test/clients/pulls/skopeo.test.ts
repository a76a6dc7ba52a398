import { skopeo } from '../kinds/skopeo.ts'
import { testPulls } from './pull-steps.ts'

testPulls(skopeo)
