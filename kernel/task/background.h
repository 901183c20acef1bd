/* background.h - tasks that look after memory. */
#pragma once

void background_start(void); /* once, when the devices are there */
