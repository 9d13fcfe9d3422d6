/** The same with two mails: the second may find the CPU awake, asleep, or lying down. */
import { MAIL } from "../../../core/cpu/mailbox.ts";
import { sleeper } from "./sleep.ts";

export default sleeper([MAIL.sync, MAIL.stop]);
