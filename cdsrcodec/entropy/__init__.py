"""Integers to payload and back, exactly: tables, ANS coder, symbol checksum."""

from cdsrcodec.entropy.checksum import symbol_crc
from cdsrcodec.entropy.coder import MAX_SYMBOL, SymbolReader, SymbolWriter
from cdsrcodec.entropy.tables import TableSet

__all__ = ["MAX_SYMBOL", "SymbolReader", "SymbolWriter", "TableSet", "symbol_crc"]
