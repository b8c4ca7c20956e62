"""Tests of switchgear.metering."""
