/* log.h - the log's inner side, for panic and boot. Others call kprintf (base.h). */
#pragma once

#include "lib/base.h"

void log_set_level(unsigned most); /* lines above this level are dropped; LOG_INFO's at first */
void log_force(void);              /* panic: whoever writes now is stopped; take no lock any more */
